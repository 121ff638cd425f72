import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { block, encodeFrame, FieldReader, FieldWriter, FrameDecoder, unblock } from '../../../src/core/frames.ts';
import { FRAME_MAX } from '../../../src/core/protocol.ts';
import { readVectors, writeFields } from './vectors.ts';

const frames = readVectors().filter((vector) => vector.kind === 'frame');

describe('a frame', () => {
  test.each(frames)('type $type with $fields is $hex', ({ type, id, fields, hex }) => {
    expect(Buffer.from(encodeFrame(type, id, writeFields(fields))).toString('hex')).toBe(hex);
    expect(new FrameDecoder().push(Buffer.from(hex, 'hex'))).toEqual([{ type, id, payload: Buffer.from(writeFields(fields)) }]);
  });

  test('there are vectors', () => expect(frames.length).toBeGreaterThan(4));

  test('comes out as it went in, however the stream is cut', () => {
    const frame = fc.record({ type: fc.nat(0xffff), id: fc.nat(0xffffffff), payload: fc.uint8Array({ maxLength: 200 }) });
    fc.assert(
      fc.property(
        fc.array(frame, { maxLength: 8 }),
        fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1 }),
        (sent, cuts) => {
          const stream = Buffer.concat(sent.map(({ type, id, payload }) => encodeFrame(type, id, payload)));
          const decoder = new FrameDecoder();
          const received = [];
          for (let at = 0, turn = 0; at < stream.length; turn += 1) {
            const size = cuts[turn % cuts.length] as number;
            received.push(...decoder.push(stream.subarray(at, at + size)));
            at += size;
          }
          expect(received.map(({ type, id, payload }) => ({ type, id, payload: [...payload] }))).toEqual(
            sent.map(({ type, id, payload }) => ({ type, id, payload: [...payload] })),
          );
        },
      ),
    );
  });

  test('that announces more than the most is refused before it comes', () => {
    const header = Buffer.alloc(12);
    header.writeUInt32LE(FRAME_MAX + 1, 0);
    expect(() => new FrameDecoder().push(header)).toThrow('was announced');
    expect(() => encodeFrame(1, 1, new Uint8Array(FRAME_MAX + 1))).toThrow('too long');
  });
});

describe('fields', () => {
  test('are read in the order in which they were written', () => {
    const bytes = new FieldWriter()
      .u32(0xffffffff)
      .u64(2n ** 64n - 1n)
      .text('größe')
      .bytes(Buffer.from([0, 255]))
      .u64(7)
      .finish();
    const reader = new FieldReader(bytes);
    expect([reader.u32(), reader.u64(), reader.text(), [...reader.bytes()], reader.isDone, reader.u64(), reader.isDone]).toEqual([
      0xffffffff,
      2n ** 64n - 1n,
      'größe',
      [0, 255],
      false,
      7n,
      true,
    ]);
  });

  test('that are not there are an error, never undefined bytes', () => {
    expect(() => new FieldReader(Buffer.from([1, 0, 0])).u32()).toThrow('shorter');
    expect(() => new FieldReader(Buffer.from([5, 0, 0, 0, 1])).bytes()).toThrow('shorter');
  });

  test('a block carries strings, empty ones too, and none with a NUL', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'grapheme' }).filter((text) => !text.includes('\0'))), (strings) => {
        expect(unblock(block(strings))).toEqual(strings);
      }),
    );
    expect(() => block(['a\0b'])).toThrow('NUL');
  });
});
