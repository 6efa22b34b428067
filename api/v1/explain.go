package v1

import (
	"cmp"
	"context"
	"maps"
	"math"
	"slices"
	"time"

	"firewatch/alerts"
	contract "firewatch/firmware-contracts"
	"firewatch/ingest"
)

const (
	seriesAround  = 30 * time.Minute // before the first evidence, and after the newest
	seriesSpan    = 24 * time.Hour   // at most, the newest
	seriesDevices = 4
	seriesPoints  = 2000            // of one device
	seriesFor     = 3 * time.Second // to wait for the history
)

func toHush(h alerts.Hush) *Hush {
	if !h.Hushed() {
		return nil
	}
	return &Hush{Kind: string(h.Kind), By: h.By, Why: h.Why, Since: at(h.Since), Until: atOrNull(h.Until)}
}

func toExplanation(x alerts.Explanation) *Explanation {
	in := x.Inputs
	out := &Explanation{
		Condition: x.Condition, Why: x.Why, Values: make(map[string]float64, len(x.Values)), Base: x.Base.String(), Outcome: string(x.Outcome),
		Raised: convert(x.Raised, func(r alerts.RaisedBy) RaisedBy {
			return RaisedBy{By: r.By, Why: r.Why, From: r.From.String(), To: r.To.String()}
		}),
		Held: convert(x.Held, func(h alerts.HeldBack) HeldBack { return HeldBack{At: at(h.At), By: h.By, Why: h.Why} }),
		Inputs: Surroundings{
			Season: string(in.Season), SeasonUnknown: in.SeasonUnknown, WarningEvent: in.WarningEvent, WarningUnknown: in.WarnUnknown,
			Danger: int(in.Danger), DangerHeld: in.DangerHeld, DryDays: in.DryDays, Special: in.Special,
		},
	}
	if in == (alerts.Surroundings{}) { // nothing was kept
		out.Inputs.DryDays = -1
	}
	if in.Warning > alerts.Notice {
		out.Inputs.Warning = in.Warning.String()
	}
	for k, v := range x.Values {
		if !math.IsNaN(v) && !math.IsInf(v, 0) {
			out.Values[k] = v
		}
	}
	return out
}

// explain adds to an alert that is shown by itself why it stands.
func (a *API) explain(ctx context.Context, s scope, x alerts.Alert, out *Alert) {
	out.Explanation = toExplanation(x.Explain)
	out.Sentence, out.SentenceEn = alerts.Explain(x)
	if s.user.Role != alerts.RoleTeam { // teams have no readings
		out.Series = a.series(ctx, x)
	}
}

// series is what the alert's devices measured around it, of the quantities that
// it rests on. It is told as far as it is there: an alert waits for no history.
func (a *API) series(ctx context.Context, x alerts.Alert) *Series {
	first, last := x.Measured, x.Measured
	fields := make(map[contract.DeviceID][]contract.Field)
	for _, e := range x.Evidence {
		if e.Measured.Before(first) {
			first = e.Measured
		}
		if e.Measured.After(last) {
			last = e.Measured
		}
		f, known := contract.FieldByName(e.Field)
		if known && e.Device != "" && !slices.Contains(fields[e.Device], f) {
			fields[e.Device] = append(fields[e.Device], f)
		}
	}
	out := &Series{From: at(first.Add(-seriesAround)), To: at(last.Add(seriesAround)), Lines: []SeriesLine{}}
	if out.To.Sub(out.From) > seriesSpan {
		out.From = out.To.Add(-seriesSpan)
	}
	devices := slices.SortedFunc(maps.Keys(fields), func(p, q contract.DeviceID) int {
		own := func(d contract.DeviceID) int {
			if d == x.Device {
				return 0
			}
			return 1
		}
		return cmp.Or(own(p)-own(q), cmp.Compare(p, q))
	})
	if len(devices) == 0 {
		out.Missing = "告警不以测量值为依据"
	}
	if len(devices) > seriesDevices {
		devices, out.Missing = devices[:seriesDevices], "只列出部分设备"
	}
	ctx, cancel := context.WithTimeout(ctx, seriesFor)
	defer cancel()
	for _, id := range devices {
		fs := fields[id]
		slices.Sort(fs)
		rs, err := a.History.Readings(ctx, ingest.ReadingQuery{
			Device: id, Class: classOf(fs[0]), From: out.From, To: out.To, Limit: seriesPoints, Newest: true,
		})
		if err != nil {
			out.Missing = "历史数据不可用（" + historyFault(err) + "）"
			break
		}
		for _, f := range fs {
			if line := seriesLine(id, f, rs); len(line.At) > 0 {
				out.Lines = append(out.Lines, line)
			}
		}
	}
	return out
}

func seriesLine(id contract.DeviceID, f contract.Field, rs []contract.Reading) SeriesLine {
	line := SeriesLine{Device: string(id), Field: f.String(), Unit: f.Info().Unit, At: []int64{}, Value: []float64{}}
	for i := range rs {
		if v, ok := rs[i].Values.Get(f); ok && !math.IsNaN(v) && !math.IsInf(v, 0) {
			line.At = append(line.At, rs[i].Measured.UnixMilli())
			line.Value = append(line.Value, v)
		}
	}
	return line
}

// classOf is the class in which the field's readings are kept; of SOS and
// reports that of positions, which are kept together.
func classOf(f contract.Field) contract.Class {
	for _, c := range []contract.Class{contract.Environment, contract.Position, contract.Status} {
		if f.In(c) {
			return c
		}
	}
	return contract.Position
}
