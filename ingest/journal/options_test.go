package journal

import (
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
)

func TestOptionsAreChecked(t *testing.T) {
	log := zap.NewNop()
	for _, o := range []Options{
		{Log: log},
		{Dir: "x"},
		{Dir: "x", Log: log, MaxBytes: 1},
		{Dir: "x", Log: log, SegmentBytes: 1},
		{Dir: "x", Log: log, SegmentBytes: 1 << 30, MaxBytes: 1 << 31},
		{Dir: "x", Log: log, MaxAge: -time.Hour},
		{Dir: "x", Log: log, MaxAge: time.Minute},
		{Dir: "x", Log: log, ThinTo: -time.Hour},
		{Dir: "x", Log: log, ThinTo: time.Second},
		{Dir: "x", Log: log, ThinTo: 73 * time.Hour},
	} {
		if _, err := Open(o); err == nil {
			t.Errorf("%+v was accepted", o)
		}
	}
}

func TestMetricsAreRegistered(t *testing.T) {
	reg := prometheus.NewRegistry()
	j := open(t, Options{Dir: t.TempDir(), Metrics: reg})
	add(t, j, entries(0, 5)...)
	got, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range got {
		names = append(names, f.GetName())
	}
	if !slices.Contains(names, "firewatch_journal_bytes") || len(names) != 7 {
		t.Errorf("metrics %v", names)
	}
	if _, err := Open(Options{Dir: t.TempDir(), Metrics: reg, Log: zap.NewNop()}); err == nil {
		t.Error("the same metrics were registered twice")
	}
}
