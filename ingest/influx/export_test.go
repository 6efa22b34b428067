package influx

import (
	"math"

	contract "firewatch/firmware-contracts"
	"firewatch/ingest"
)

// Encode writes the readings as lines again and again, for a benchmark of what a
// batch costs us.
func Encode(registry ingest.Registry, rs []contract.Reading) func() (text []byte) {
	b, e := newBatch(), encoder{registry: registry}
	return func() []byte {
		b.reset()
		for i := range rs {
			b.readings = append(b.readings, &rs[i])
		}
		b.encode(&e, largeBatch, &rejects{})
		return b.buf
	}
}

// EncodeUnsorted is Encode in the order of arrival.
func EncodeUnsorted(registry ingest.Registry, rs []contract.Reading) func() (text []byte) {
	var buf []byte
	e := encoder{registry: registry}
	return func() []byte {
		buf = buf[:0]
		for i := range rs {
			buf, _ = e.append(buf, &rs[i])
		}
		return buf
	}
}

// KeepOrder has the client write lines as they arrive, to be compared with.
func (c *Client) KeepOrder() { c.sortFrom = math.MaxInt }
