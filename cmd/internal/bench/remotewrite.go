//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"net/http"
)

// What of Prometheus's remote write 1.0 a sender needs: protobuf messages in a
// snappy block, which may be literals alone.

// A label of a series. Their order is that of their names.
type label struct{ name, value string }

// A sample is a value and its time in ms since 1970.
type sampleAt struct {
	at int64
	v  float64
}

// appendSeries appends a TimeSeries to a WriteRequest.
func appendSeries(b []byte, labels []byte, samples ...sampleAt) []byte {
	var body []byte
	for _, s := range samples {
		var x [32]byte
		m := append(x[:0], 0x09) // value: double
		m = binary.LittleEndian.AppendUint64(m, math.Float64bits(s.v))
		m = binary.AppendUvarint(append(m, 0x10), uint64(s.at)) //nolint:gosec // after 1970
		body = binary.AppendUvarint(append(body, 0x12), uint64(len(m)))
		body = append(body, m...)
	}
	b = binary.AppendUvarint(append(b, 0x0a), uint64(len(labels)+len(body)))
	return append(append(b, labels...), body...)
}

// encodeLabels makes the part of a TimeSeries that is the same each time.
func encodeLabels(labels ...label) (out []byte) {
	for _, l := range labels {
		m := append([]byte{0x0a}, byte(len(l.name)))               //nolint:gosec // our own names are short
		m = append(append(m, l.name...), 0x12, byte(len(l.value))) //nolint:gosec // the same
		m = append(m, l.value...)
		out = binary.AppendUvarint(append(out, 0x0a), uint64(len(m)))
		out = append(out, m...)
	}
	return out
}

// snappyBlock wraps the bytes as a snappy block of literals.
func snappyBlock(raw []byte) []byte {
	out := binary.AppendUvarint(make([]byte, 0, len(raw)+len(raw)/20_000+16), uint64(len(raw)))
	for len(raw) > 0 {
		n := min(len(raw), 1<<16)
		out = append(out, 61<<2, byte(n-1), byte((n-1)>>8)) //nolint:gosec // two bytes of it
		out = append(out, raw[:n]...)
		raw = raw[n:]
	}
	return out
}

// remoteWrite sends a WriteRequest.
func remoteWrite(ctx context.Context, c *http.Client, url string, request []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/api/v1/write", bytes.NewReader(snappyBlock(request)))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Encoding", "snappy")
	req.Header.Set("Content-Type", "application/x-protobuf")
	req.Header.Set("X-Prometheus-Remote-Write-Version", "0.1.0")
	res, err := c.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close() //nolint:errcheck // read to its end below
	text, err := io.ReadAll(io.LimitReader(res.Body, 1000))
	if err != nil {
		return err
	}
	if res.StatusCode/100 != 2 {
		return fmt.Errorf("Prometheus: %s: %s", res.Status, bytes.TrimSpace(text)) //nolint:staticcheck // its name
	}
	return nil
}
