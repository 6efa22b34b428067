package app

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"firewatch/alerts"
	"firewatch/alerts/rehearsal"
	"firewatch/alerts/sqlstore"
	"firewatch/cmd/internal/config"
	contract "firewatch/firmware-contracts"
	"firewatch/ingest"
	"firewatch/ingest/influx"
	"firewatch/ingest/influx/influxd"
)

// shelf is a history of one device; the other ports of it are not asked.
type shelf struct {
	ingest.History
	all   []contract.Reading // by measured time
	asked int
}

func (s *shelf) Readings(_ context.Context, q ingest.ReadingQuery) (out []contract.Reading, err error) {
	s.asked++
	for _, r := range s.all {
		if r.Class == q.Class && !r.Measured.Before(q.From) && r.Measured.Before(q.To) && len(out) < q.Limit {
			out = append(out, r)
		}
	}
	return out, nil
}

func TestHistoryIsReadByPagesWithoutLossOrRepeat(t *testing.T) {
	begin := time.Date(2026, 3, 17, 0, 0, 0, 0, time.UTC)
	s := &shelf{}
	for i := range 40 { // four of each millisecond: pages end among them
		m := begin.Add(time.Duration(i/4) * time.Millisecond)
		s.all = append(s.all, contract.Reading{
			Device: "S1", Kind: contract.Sensor, Class: contract.Environment, Measured: m, Received: m.Add(time.Second), Seq: uint64(i), HasSeq: true,
		})
	}
	p := pages{history: s, query: ingest.ReadingQuery{Device: "S1", Class: contract.Environment, From: begin, To: begin.Add(time.Hour), Limit: 7}}
	var got []uint64
	for {
		x, ok, err := p.next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			break
		}
		got = append(got, x.Seq)
	}
	var want []uint64
	for i := range uint64(40) {
		want = append(want, i)
	}
	if !slices.Equal(got, want) || s.asked < 6 {
		t.Errorf("%d questions, %v", s.asked, got)
	}
}

// The whole way: readings in InfluxDB, the roster in the store, and nothing of
// either is changed.
func TestRulesBacktestOfHistory(t *testing.T) {
	if testing.Short() {
		t.Skip("starts InfluxDB")
	}
	data := filepath.Join(t.TempDir(), "data")
	if code, out, said := runWords(t, "", "roster", "import", "--from", smallRoster(t), "--data", data); code != exitOK {
		t.Fatalf("exit %d, %s%s", code, out, said)
	}
	writeHistory(t, data)
	dir := t.TempDir()
	old, keen := writeFile(t, dir, "old.yaml", fireRules("old", 8)), writeFile(t, dir, "new.yaml", fireRules("new", 2.5))
	code, out, said := runWords(t, "", "rules", "backtest", "--rules", keen, "--against", old, "--data", data, "--influx-binary", influxBinary(t),
		"--from", "2026-03-17", "--to", "2026-03-18")
	for _, want := range []string{"2 台设备，2,880 条读数", "待命：多 1 条（1 → 2）", "1 起更早，早 11 分钟；1 起只有 new 发现"} {
		if code != exitOK || !strings.Contains(out, want) {
			t.Errorf("exit %d, %s\n%s\nwant %s", code, said, out, want)
		}
	}
	if !strings.Contains(said, "no season table") {
		t.Errorf("it does not say that the seasons are unknown: %q", said)
	}
	store, err := sqlstore.Open(t.Context(), sqlstore.Options{URL: (&config.Config{Data: data}).StoreURL(), Log: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if as, err := store.Alerts(t.Context(), alerts.AlertQuery{Limit: 10}); err != nil || len(as) > 0 {
		t.Errorf("a backtest left alerts: %v, %v", as, err)
	}
}

// writeHistory puts the day of two fires into the InfluxDB of a data folder.
func writeHistory(t *testing.T, data string) {
	t.Helper()
	server, err := influxd.Start(t.Context(), influxd.Options{Binary: influxBinary(t), Dir: filepath.Join(data, "influxdb"), Auth: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := server.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	client, err := influx.New(influx.Options{URL: server.URL(), Token: server.Token()})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if err := client.Setup(t.Context()); err != nil {
		t.Fatal(err)
	}
	rows, err := rehearsal.NewCSVReader("day", strings.NewReader(twoFires()), func(contract.DeviceID) (contract.Kind, bool) { return contract.Sensor, true })
	if err != nil {
		t.Fatal(err)
	}
	var rs []contract.Reading
	for {
		x, ok, err := rows.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			break
		}
		rs = append(rs, x)
	}
	if err := client.Write(t.Context(), rs); err != nil {
		t.Fatal(err)
	}
}
