/**
 * What a step of the wall clock does to times that are still being written: they move along, so
 * that a session keeps its length and its order. What has ended stays as it is. Owns those
 * statements.
 */
import type { Database, Statement } from 'better-sqlite3';

const OPEN = '(SELECT id FROM session WHERE closed_us IS NULL)';
const ACTIVE = '(SELECT id FROM recording WHERE stopped_us IS NULL)';

const SQL = [
  `UPDATE access SET first_us = first_us + @shift, last_us = last_us + @shift
    WHERE session_id IN ${OPEN}`,
  `UPDATE missing_lookup SET first_us = first_us + @shift, last_us = last_us + @shift
    WHERE session_id IN ${OPEN}`,
  `UPDATE mark SET at_us = at_us + @shift WHERE session_id IN ${OPEN}`,
  `UPDATE session_note SET at_us = at_us + @shift WHERE session_id IN ${OPEN}`,
  `UPDATE loss SET from_us = from_us + @shift, to_us = to_us + @shift
    WHERE session_id IN ${OPEN} OR (session_id IS NULL AND recording_id IN ${ACTIVE})`,
  'UPDATE pending_boot SET at_us = at_us + @shift',
  `UPDATE session SET opened_us = opened_us + @shift, last_us = last_us + @shift
    WHERE closed_us IS NULL`,
  'UPDATE recording SET started_us = started_us + @shift WHERE stopped_us IS NULL',
];

export class ClockShift {
  readonly #statements: readonly Statement[];

  constructor(db: Database) {
    this.#statements = SQL.map((text) => db.prepare(text));
  }

  /** @param shift microseconds; negative when the clock was set back */
  run(shift: number): void {
    for (const statement of this.#statements) statement.run({ shift });
  }
}
