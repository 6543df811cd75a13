// The core ABI: the host writes one block of columns into memory that mr_alloc hands
// out, calls mr_eval, and reads one block back. All numbers are little-endian, all
// offsets relative to the block.

/** function (in a reply: status), rows, columns */
const HEADER_BYTES: usize = 12;
/** type, then offset and length of validity, data and offsets */
const COLUMN_BYTES: usize = 28;
export const FLOAT64: u32 = 3;

/** One piece of memory that grows and is used again by every call. */
class Room {
  private at: usize = 0;
  private bytes: usize = 0;

  of(bytes: usize): usize {
    if (bytes > this.bytes) {
      if (this.at) heap.free(this.at);
      this.at = heap.alloc(bytes);
      this.bytes = bytes;
    }
    return this.at;
  }
}

const block = new Room();
const answer = new Room();

export function mr_alloc(length: usize): usize {
  return block.of(length);
}

export class Request {
  constructor(private at: usize) {}

  get rows(): i32 {
    return load<i32>(this.at, 4);
  }

  get columns(): i32 {
    return load<i32>(this.at, 8);
  }

  type(column: i32): u32 {
    return load<u32>(this.head(column));
  }

  /** Address of the first value. A function that is not called for null arguments never meets a validity bitmap. */
  data(column: i32): usize {
    return this.at + load<u32>(this.head(column), 12);
  }

  private head(column: i32): usize {
    return this.at + HEADER_BYTES + <usize>column * COLUMN_BYTES;
  }
}

class Reply {
  constructor(
    public data: usize,
    public packed: u64,
  ) {}
}

/** A reply of one DOUBLE column without nulls. */
export function newFloats(rows: i32): Reply {
  const data: u32 = 40; // header and one column, 8-byte aligned
  const bytes = <u32>rows * 8;
  const at = answer.of(data + bytes);
  store<u32>(at, 0);
  store<u32>(at, rows, 4);
  store<u32>(at, 1, 8);
  store<u32>(at, FLOAT64, 12);
  store<u64>(at, 0, 16);
  store<u32>(at, data, 24);
  store<u32>(at, bytes, 28);
  store<u64>(at, 0, 32);
  return new Reply(at + data, pack(at, data + bytes));
}

/** A reply that fails the whole batch. */
export function failure(why: string): u64 {
  const text = String.UTF8.encode(why);
  const at = answer.of(4 + text.byteLength);
  store<u32>(at, 1);
  memory.copy(at + 4, changetype<usize>(text), text.byteLength);
  return pack(at, 4 + text.byteLength);
}

function pack(at: usize, bytes: usize): u64 {
  return (<u64>at << 32) | <u64>bytes;
}
