package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"firewatch/alerts"
	"firewatch/cmd/internal/replay"
	"firewatch/cmd/internal/sample"
	"firewatch/cmd/internal/simulate"
	contract "firewatch/firmware-contracts"
)

func runSimulate(ctx context.Context, e Env) (err error) {
	fs := flags(e, "simulate", "[--devices N] [--rate READINGS/S] [--duration 1m] [--seed N] [--mqtt HOST:PORT] [--data DIR]")
	devices := fs.Int("devices", 100, "how many of the fleet report, those on duty first")
	rate := fs.Float64("rate", 0, "readings per second of all devices together; 0: each device every 10 s")
	duration := fs.Duration("duration", time.Minute, "how long; 0: until stopped")
	seed := fs.Uint64("seed", 1, "the same seed gives the same readings")
	address := fs.String("mqtt", "127.0.0.1:1883", "address of the broker")
	data := fs.String("data", "", "data folder of the demo whose devices report; found by itself for a demo on this machine")
	fleetPath := fs.String("fleet", "", "CSV file of devices with their credentials, instead of a demo's")
	story := fs.String("story", "none", "none or fire: the scripted story of the demo")
	ledger := fs.String("ledger", "", "file to which every acknowledged reading is written: device,t,seq")
	if err := parse(fs, e.Args); err != nil {
		return err
	}
	o := simulate.Options{MQTT: *address, Rate: *rate, Every: 10 * time.Second, Duration: *duration, Seed: *seed}
	if o.Story, err = simulate.ParseStory(*story); err != nil {
		return usageError{fmt.Errorf("--story: %w", err)}
	}
	if o.Fleet, o.Terminals, err = chooseFleet(e, *fleetPath, *data, *address); err != nil {
		return err
	}
	if *devices < 1 || *devices > len(o.Fleet) {
		return usageError{fmt.Errorf("--devices: %d; this fleet has 1 to %d", *devices, len(o.Fleet))}
	}
	o.Fleet = dutyFirst(o.Fleet)[:*devices]
	if o.Story == simulate.None {
		o.Terminals = nil
	}
	if o.Log, err = commandLog(e); err != nil {
		return err
	}
	if *ledger != "" {
		f, err := os.Create(*ledger)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, f.Close()) }()
		o.Ledger = f
	}
	summary, err := simulate.Run(ctx, o)
	return errors.Join(err, printJSON(e.Stdout, summary))
}

// dutyFirst puts those on duty before the others, sensors and trackers mixed as
// in the fleet.
func dutyFirst(fleet []simulate.Member) []simulate.Member {
	out := onDuty(fleet)
	for _, m := range fleet {
		if m.Expect == 0 {
			out = append(out, m)
		}
	}
	return out
}

// chooseFleet is the fleet of a file, of the demo in a data folder, or of the
// demo that runs at the address. Where this machine knows of none, it is that of
// the sample set, without credentials: for a broker that asks for none.
func chooseFleet(e Env, file, data, address string) ([]simulate.Member, []simulate.Terminal, error) {
	if file != "" {
		f, err := os.Open(file)
		if err != nil {
			return nil, nil, err
		}
		defer f.Close() //nolint:errcheck // read only
		fleet, err := simulate.ReadFleet(f)
		return fleet, nil, err
	}
	if data == "" {
		found, err := findDemo(address)
		if err != nil {
			_, err := fmt.Fprintf(e.Stderr, "no demo of this machine is known at %s: connecting without credentials (else name its --data folder, or a --fleet file)\n", address)
			fleet, terminals := sampleFleet()
			return fleet, terminals, err
		}
		data = found
	}
	return readDemo(data)
}

func sampleFleet() (fleet []simulate.Member, terminals []simulate.Terminal) {
	set := sample.Roster()
	for _, d := range set.Devices {
		fleet = append(fleet, member(d, ""))
	}
	for _, t := range set.Teams {
		terminals = append(terminals, simulate.Terminal{Team: t.ID})
	}
	return fleet, terminals
}

func member(d alerts.Device, secret string) simulate.Member {
	return simulate.Member{ID: d.ID, Kind: d.Kind, Secret: secret, Lat: d.Lat, Lon: d.Lon, Area: d.Area, Expect: d.Expect}
}

func runReplay(ctx context.Context, e Env) error {
	fs := flags(e, "replay", "--device ID [--kind tracker|sensor] [--start TIME] [--speed N] [--mqtt HOST:PORT] [--data DIR] FILE")
	device := fs.String("device", "", "the device that the file's readings are given to")
	kind := fs.String("kind", "", "tracker or sensor; follows from the file when left out")
	format := fs.String("format", "", "gpx, nmea, plt, weather or smoke; follows from the file when left out")
	start := fs.String("start", "", "measured time of the first reading, RFC 3339; the file's own times when left out")
	speed := fs.Float64("speed", 0, "1: in real time, 60: a minute in a second; 0: as fast as it is acknowledged")
	address := fs.String("mqtt", "127.0.0.1:1883", "address of the broker")
	data := fs.String("data", "", "data folder of the demo that knows the device's credential; found by itself for a demo on this machine")
	secretFile := fs.String("secret-file", "", "file with the device's MQTT password, instead of a demo's")
	if err := parse(fs, e.Args); err != nil {
		return err
	}
	if fs.NArg() != 1 {
		return usageError{errors.New("name one file")}
	}
	o := replay.Options{Path: fs.Arg(0), Format: *format, Device: contract.DeviceID(*device), Speed: *speed, MQTT: *address}
	if err := o.Device.Validate(); err != nil {
		return usageError{fmt.Errorf("--device: %w", err)}
	}
	var err error
	if *kind != "" {
		if o.Kind, err = contract.ParseKind(*kind); err != nil {
			return usageError{fmt.Errorf("--kind: %w", err)}
		}
	}
	if *start != "" {
		if o.Start, err = time.Parse(time.RFC3339, *start); err != nil {
			return usageError{fmt.Errorf("--start: %w; want a time like 2026-03-01T08:00:00+08:00", err)}
		}
	}
	if o.Secret, err = replaySecret(e, *secretFile, *data, *address, o.Device); err != nil {
		return err
	}
	if o.Log, err = commandLog(e); err != nil {
		return err
	}
	summary, err := replay.Run(ctx, o)
	return errors.Join(err, printJSON(e.Stdout, summary))
}

func replaySecret(e Env, file, data, address string, device contract.DeviceID) (string, error) {
	if file != "" {
		raw, err := os.ReadFile(file)
		return strings.TrimRight(string(raw), "\r\n"), err
	}
	fleet, _, err := chooseFleet(e, "", data, address)
	if err != nil {
		return "", err
	}
	for _, m := range fleet {
		if m.ID == device {
			return m.Secret, nil
		}
	}
	return "", fmt.Errorf("--device: the demo has no device %q; %s lists them", device, filepath.Join("DATA", fleetFile))
}

func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
