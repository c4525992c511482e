/** The wall clock as the store has it: set in steps, whenever and however often. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { nowUs } from '../../src/recording/clock.ts';
import { WallClock } from '../../src/recording/wall-clock.ts';

const HOUR = 3_600_000_000;

describe('steps of the wall clock', () => {
  test('a step is told once, what is no step never', () => {
    let offset = 1e15;
    const wall = new WallClock({ known: null, bootId: 'b', offset: () => offset });
    assert.equal(wall.look(), 0);
    offset += 90_000;
    assert.equal(wall.look(), 0);
    assert.equal(wall.toWall(5), 1e15 + 5, 'the store has not moved either');
    offset -= HOUR;
    assert.equal(wall.look(), 90_000 - HOUR);
    assert.equal(wall.look(), 0);
    assert.equal(wall.takeStep(), 90_000 - HOUR);
    assert.equal(wall.takeStep(), 0);
    assert.deepEqual(wall.row, { bootId: 'b', offsetUs: offset });
  });

  test('small ones add up', () => {
    let offset = 1e15;
    const wall = new WallClock({ known: null, bootId: 'b', offset: () => offset });
    let told = 0;
    for (let step = 0; step < 7; step += 1) {
      offset += 90_000;
      told += wall.look();
    }
    assert.ok(Math.abs(offset - wall.toWall(0)) < 100_000);
    assert.equal(told, wall.toWall(0) - 1e15);
  });

  test('nothing moves between two looks; a time that is kept moves as the store’s own', () => {
    let offset = 1e15;
    const wall = new WallClock({ known: null, bootId: 'b', offset: () => offset });
    const written = wall.toWall(7);
    offset -= HOUR;
    assert.equal(wall.toWall(7), written);
    wall.look();
    assert.equal(wall.toWall(7), written + wall.takeStep());
    assert.equal(wall.toMonotonic(wall.toWall(7)), 7);
    assert.ok(wall.toMonotonic(1e18) <= nowUs(), 'never later than now');
  });

  test('one while nothing ran is noticed in the same boot of the server', () => {
    const known = { bootId: 'b', offsetUs: 1e15 };
    const offset = () => 1e15 + 2 * HOUR;
    assert.equal(new WallClock({ known, bootId: 'b', offset }).takeStep(), 2 * HOUR);
    assert.equal(new WallClock({ known, bootId: 'c', offset }).takeStep(), 0);
  });

  test('one while the server was off is noticed if what is stored would be in the future', () => {
    const known = { bootId: 'b', offsetUs: 1e15 };
    const wall = (lastUs: number) =>
      new WallClock({ known, lastUs, bootId: 'c', offset: () => 1e15 });
    assert.equal(wall(1e15).takeStep(), 0);
    const back = wall(1e15 + nowUs() + HOUR).takeStep();
    assert.ok(back <= -HOUR + 10_000_000 && back >= -HOUR - 10_000_000, String(back));
  });
});
