package app

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"go.uber.org/zap"

	"firewatch/alerts"
	"firewatch/alerts/outlook"
	"firewatch/cmd/internal/simulate"
	contract "firewatch/firmware-contracts"
	"firewatch/ingest"
	"firewatch/ingest/influx"
)

// startDanger rates the fire danger of each day. It needs InfluxDB, which a
// process with the role alerts alone has only when it is told where it is.
func (s *system) startDanger(ctx context.Context) error {
	if s.influx == nil {
		s.log.Info("this process does not rate fire danger: it knows no InfluxDB; give influx-url, or leave it to another one")
		return nil
	}
	o := outlook.Options{
		Roster: s.store, Danger: s.store, Weather: weather{s.influx}, Lease: s.store, Holder: s.holder, Nudge: s.nudgeAPI,
		Log: s.log.Named("danger"),
	}
	if s.Demo {
		o.Mark = "【演示】"
		if err := s.seedDemoDanger(ctx, o); err != nil {
			return fmt.Errorf("demo: fire danger: %w", err)
		}
	}
	rating, err := outlook.New(o)
	if err != nil {
		return fmt.Errorf("danger: %w", err)
	}
	s.health.add("danger", func(context.Context) error { return rating.Ready() })
	s.stack.Go("danger", rating.Run)
	return nil
}

// weather is what the sensors measured, as the rating asks for it.
type weather struct{ client *influx.Client }

// Weather implements outlook.Weather.
func (w weather) Weather(ctx context.Context, from, to time.Time, each func(outlook.Half) error) error {
	return w.client.Weather(ctx, from, to, func(x ingest.WeatherWindow) error {
		return each(outlook.Half{
			Station: x.Device, At: x.At, TempC: outlook.Sum(x.TempC), RHPct: outlook.Sum(x.RhPct), WindMS: outlook.Sum(x.WindMS), RainMM: outlook.Sum(x.RainMM),
		})
	})
}

// seedDemoDanger rates the days before the demo's first start from made-up
// weather, marked as such: without them the first day would be unknown, and what
// levels look like would be seen a day later.
func (s *system) seedDemoDanger(ctx context.Context, o outlook.Options) error {
	now := time.Now()
	had, err := s.store.AreaDangers(ctx, "", alerts.DangerDay(now.AddDate(0, -1, 0)), alerts.DangerDay(now))
	if err != nil || len(had) > 0 {
		return err
	}
	fleet, _, err := readDemo(s.Data)
	if err != nil {
		return fmt.Errorf("%s: %w", filepath.Join(s.Data, fleetFile), err)
	}
	o.Weather, o.Lease, o.Now, o.Log, o.Nudge = pastWeather{fleet, now}, nil, func() time.Time { return now }, zap.NewNop(), nil
	past, err := outlook.New(o)
	if err != nil {
		return err
	}
	return past.Round(ctx)
}

// pastWeather is made-up weather of the last ten days, with one rain some days
// ago, less of it to the west.
type pastWeather struct {
	fleet []simulate.Member
	now   time.Time
}

// Weather implements outlook.Weather.
func (w pastWeather) Weather(_ context.Context, from, to time.Time, each func(outlook.Half) error) error {
	local := w.now.In(alerts.Zone)
	if first := w.now.AddDate(0, 0, -10).Truncate(outlook.HalfHour); from.Before(first) {
		from = first
	}
	rain := time.Date(local.Year(), local.Month(), local.Day()-4, 3, 0, 0, 0, alerts.Zone)
	return simulate.Past(w.fleet, from, to, outlook.HalfHour, func(m *simulate.Member, at time.Time, v contract.Values) error {
		if at.Equal(rain) {
			mm := 1.5
			switch {
			case m.Lon > 115.2:
				mm = 12
			case m.Lon > 114.8:
				mm = 4
			}
			v.Set(contract.RainMM, mm)
		}
		sum := func(f contract.Field) outlook.Sum {
			x, ok := v.Get(f)
			if !ok {
				return outlook.Sum{}
			}
			return outlook.Sum{N: 1, Min: x, Max: x, Sum: x}
		}
		return each(outlook.Half{
			Station: m.ID, At: at, TempC: sum(contract.TempC), RHPct: sum(contract.RhPct), WindMS: sum(contract.WindMS), RainMM: sum(contract.RainMM),
		})
	})
}
