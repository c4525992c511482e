-- What a loss makes of the recording: 'warn' goes on and says so, 'fail' makes its end a failure.
ALTER TABLE recording ADD COLUMN on_loss TEXT NOT NULL DEFAULT 'warn';
