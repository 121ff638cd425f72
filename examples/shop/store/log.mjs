import fs from 'node:fs';

/** Reads the file (a line that was cut short by a power loss is dropped) and goes on writing at its end. */
export function openLog(file) {
  const values = new Map();
  const complete = fs.existsSync(file) ? replay(fs.readFileSync(file), values) : 0;
  const descriptor = fs.openSync(file, 'a');
  fs.ftruncateSync(descriptor, complete);
  return {
    values,
    write(key, value) {
      fs.writeSync(descriptor, `${JSON.stringify([key, value])}\n`);
      fs.fsyncSync(descriptor);
      values.set(key, value);
    },
  };
}

/** Returns how many bytes were whole lines. */
function replay(content, values) {
  const end = content.lastIndexOf('\n') + 1;
  for (const line of content.subarray(0, end).toString().split('\n')) {
    if (line !== '') values.set(...JSON.parse(line));
  }
  return end;
}
