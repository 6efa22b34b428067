package app

import (
	"context"
	"crypto/tls"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"firewatch/cmd/internal/config"
	contract "firewatch/firmware-contracts"
	"firewatch/ingest"
	"firewatch/ingest/chirpstack"
	"firewatch/ingest/influx"
	"firewatch/ingest/mqtt"
	"firewatch/ingest/owntracks"
	"firewatch/ingest/quarantine"
	"firewatch/ingest/tts"
)

func (s *system) startIngest(context.Context) error {
	q, err := quarantine.Open(quarantine.Options{Dir: filepath.Join(s.Data, "quarantine"), Log: s.log, Metrics: s.metrics})
	if err != nil {
		return fmt.Errorf("quarantine: %w", err)
	}
	s.stack.Close("quarantine", q.Close)
	s.health.add("quarantine", func(context.Context) error { return q.Ready() })
	adapters, err := s.adapters()
	if err != nil {
		return err
	}

	o := ingest.Options{}
	o.Intake, err = ingest.NewIntake(ingest.IntakeOptions{
		Journal: s.journal, Quarantine: q, Decoder: &ingest.Decoders{Adapters: adapters}, Log: s.log.Named("intake"), Metrics: s.metrics,
	})
	if err != nil {
		return fmt.Errorf("intake: %w", err)
	}
	s.health.add("intake", func(context.Context) error { return o.Intake.Ready() })
	if s.Has(config.Ingest) {
		sums, err := influx.NewDownsampler(influx.DownsamplerOptions{
			Client: s.influx, Instance: s.holder, Registerer: s.metrics, Log: s.log.Named("downsampling"),
		})
		if err != nil {
			return fmt.Errorf("downsampling: %w", err)
		}
		s.stack.Go("downsampling", sums.Run)
		s.health.add("downsampling", func(context.Context) error { return sums.Ready() })
		o.Drain, err = ingest.NewDrain(ingest.DrainOptions{
			Journal: s.journal, Reader: influxReader, Sink: influx.Observe(s.influx, sums, s.influx), Quarantine: q, QuarantineLog: s.influx, CountsEvery: 5 * time.Second,
			Log: s.log.Named("drain"), Metrics: s.metrics,
		})
		if err != nil {
			return fmt.Errorf("drain: %w", err)
		}
		s.health.add("drain", func(context.Context) error { return o.Drain.Ready() })
	}
	if o.Sources, err = s.sources(adapters); err != nil {
		return err
	}
	role, err := ingest.New(o)
	if err != nil {
		return fmt.Errorf("ingest: %w", err)
	}
	s.stack.Go("ingest", role.Run)
	return nil
}

// adapters are those that the configuration switches on.
func (s *system) adapters() ([]ingest.Adapter, error) {
	var out []ingest.Adapter
	for _, name := range s.Adapters {
		var a ingest.Adapter
		var err error
		switch name {
		case config.OwnTracks:
			a, err = owntracks.New(owntracks.Options{Directory: s.registry, Metrics: s.metrics})
		case config.ChirpStack:
			a, err = chirpstack.New(chirpstack.Options{Directory: s.registry, Metrics: s.metrics})
		case config.TTS:
			a, err = tts.New(tts.Options{Directory: s.registry, Metrics: s.metrics})
		}
		if err != nil {
			return nil, fmt.Errorf("adapters: %s: %w", name, err)
		}
		out = append(out, a)
	}
	return out, nil
}

// sources are the broker of our own devices, and those that adapters are fed
// from.
func (s *system) sources(adapters []ingest.Adapter) ([]ingest.Source, error) {
	var out []ingest.Source
	filters := slices.Clone(contract.Uplinks)
	for _, a := range adapters {
		feed := s.Feeds[slices.Index(config.Adapters, a.Name())]
		if feed.Broker == "" {
			filters = append(filters, a.Filters()...)
			continue
		}
		var conf *tls.Config
		if feed.CA != "" {
			roots, err := readAuthorities(a.Name()+"-ca", feed.CA)
			if err != nil {
				return nil, err
			}
			conf = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots}
		}
		source, err := s.source(a.Name(), mqtt.Options{
			URL: feed.Broker, Username: feed.Username, Password: feed.Password.Reveal(), TLS: conf,
			ClientID: s.clientID() + "-" + a.Name(), Group: s.MQTTGroup, Filters: a.Filters(),
			// A network server's own broker may know nothing better.
			BestEffort: true,
		})
		if err != nil {
			return nil, err
		}
		out = append(out, source)
	}
	if s.broker != nil {
		return append(out, s.broker), nil
	}
	url, username, password, conf, err := s.client("ingest")
	if err != nil {
		return nil, err
	}
	source, err := s.source("mqtt", mqtt.Options{
		URL: url, Username: username, Password: password, TLS: conf, ClientID: s.clientID(), Group: s.MQTTGroup, Filters: filters,
	})
	if err != nil {
		return nil, err
	}
	return append(out, source), nil
}

func (s *system) source(name string, o mqtt.Options) (*mqtt.Source, error) {
	o.Log = s.log.Named(name)
	source, err := mqtt.New(o)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	s.health.add(name, func(context.Context) error {
		if err := source.Ready(); err != nil {
			return err
		}
		if w := source.Warnings(); len(w) > 0 {
			return note(strings.Join(w, "; "))
		}
		return nil
	})
	return source, nil
}
