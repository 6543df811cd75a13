package main

import (
	"encoding/binary"
	"errors"
	"unsafe"
)

// The core ABI: the host writes one block of columns into memory that mr_alloc
// hands out, calls mr_eval, and reads one block back. All numbers are
// little-endian, all offsets relative to the block.
const (
	headerBytes = 12 // function (in a reply: status), rows, columns
	columnBytes = 28 // type, then offset and length of validity, data and offsets
	float64Type = 3
)

// Both live until the next call, so the garbage collector must see them.
var (
	block []byte
	reply []byte
)

//go:wasmexport mr_alloc
func mrAlloc(length int32) uint32 {
	if int(length) > cap(block) {
		block = aligned(int(length))
	}
	block = block[:length]
	return address(block)
}

//go:wasmexport mr_eval
func mrEval(_ uint32, length int32) uint64 {
	reply = evaluate(request(block[:length]))
	return uint64(address(reply))<<32 | uint64(len(reply))
}

type request []byte

func (r request) word(at int) int { return int(binary.LittleEndian.Uint32(r[at:])) }
func (r request) rows() int       { return r.word(4) }
func (r request) columns() int    { return r.word(8) }

// floats is the column as it lies in the block. A function that is not called
// for null arguments never meets a validity bitmap.
func (r request) floats(column int) ([]float64, error) {
	head := headerBytes + column*columnBytes
	if r.word(head) != float64Type {
		return nil, errors.New("an argument is not DOUBLE")
	}
	if r.rows() == 0 {
		return nil, nil
	}
	data := r.word(head + 12)
	return unsafe.Slice((*float64)(unsafe.Pointer(&r[data])), r.rows()), nil
}

// newFloats is a reply of one DOUBLE column without nulls, and that column.
func newFloats(rows int) ([]float64, []byte) {
	const data = 40 // header and one column, 8-byte aligned
	out := aligned(data + rows*8)
	for i, word := range []int{0, rows, 1, float64Type, 0, 0, data, rows * 8, 0, 0} {
		binary.LittleEndian.PutUint32(out[i*4:], uint32(word))
	}
	if rows == 0 {
		return nil, out
	}
	return unsafe.Slice((*float64)(unsafe.Pointer(&out[data])), rows), out
}

// failure is a reply that fails the whole batch.
func failure(why string) []byte {
	return append([]byte{1, 0, 0, 0}, why...)
}

func aligned(length int) []byte {
	words := make([]uint64, length/8+1)
	return unsafe.Slice((*byte)(unsafe.Pointer(&words[0])), length)
}

func address(bytes []byte) uint32 {
	return uint32(uintptr(unsafe.Pointer(unsafe.SliceData(bytes))))
}
