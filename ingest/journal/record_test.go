package journal

import (
	"bytes"
	"context"
	"fmt"
	"testing"

	"go.uber.org/zap"

	"firewatch/ingest"
)

func FuzzDecodeRecord(f *testing.F) {
	for i := range 20 {
		e := entry(i)
		f.Add(appendRecord(nil, &e))
	}
	f.Add([]byte{})
	f.Add([]byte{readingV1})
	f.Fuzz(func(t *testing.T, b []byte) {
		var e ingest.Entry
		var names interner
		if decodeRecord(b, &e, &names) != nil {
			return
		}
		// What decodes is exactly what would be written.
		if again := appendRecord(nil, &e); !bytes.Equal(again, b) {
			t.Errorf("decoded %x, which is written %x", b, again)
		}
	})
}

func TestCutRecordsDoNotDecode(t *testing.T) {
	for i := range 10 {
		e := entry(i)
		b := appendRecord(nil, &e)
		for n := range b {
			var got ingest.Entry
			if decodeRecord(b[:n], &got, nil) == nil {
				t.Errorf("record %d cut to %d of %d bytes decodes", i, n, len(b))
			}
		}
		var got ingest.Entry
		if decodeRecord(append(b, 0), &got, nil) == nil {
			t.Error("a record with a byte too many decodes")
		}
	}
}

func BenchmarkAppend(b *testing.B) {
	for _, size := range []int{1, 100, 1000, 5000} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			j := open(b, Options{Dir: b.TempDir(), Log: zap.NewNop()})
			batch := entries(0, size)
			b.ReportAllocs()
			for b.Loop() {
				add(b, j, batch...)
			}
			b.ReportMetric(float64(size)*float64(b.N)/b.Elapsed().Seconds(), "records/s")
		})
	}
}

func BenchmarkEncode(b *testing.B) {
	e := entry(1)
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf, _ = appendFrame(buf[:0], 1, true, &e)
	}
	b.SetBytes(int64(len(buf)))
}

func BenchmarkRead(b *testing.B) {
	j := open(b, Options{Dir: b.TempDir(), Log: zap.NewNop()})
	const n = 50_000
	for i := 0; i < n; i += 5000 {
		add(b, j, entries(i, i+5000)...)
	}
	b.ReportAllocs()
	for b.Loop() {
		for pos, got := ingest.Position(0), 0; got < n; {
			es, next, err := j.Read(context.Background(), pos, 5000)
			if err != nil {
				b.Fatal(err)
			}
			pos, got = next, got+len(es)
		}
	}
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "records/s")
}
