package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"go.uber.org/zap"

	"firewatch/alerts"
	"firewatch/alerts/dispatch"
	"firewatch/alerts/downlink"
	"firewatch/alerts/engine"
	notifymqtt "firewatch/alerts/notify/mqtt"
	"firewatch/alerts/sqlstore"
	"firewatch/api"
	"firewatch/api/console"
	"firewatch/cmd/internal/config"
	contract "firewatch/firmware-contracts"
	"firewatch/ingest/broker"
	"firewatch/ingest/fleet"
	"firewatch/ingest/influx"
	"firewatch/ingest/journal"
)

// Addresses are where a running system is reached; empty for what this process
// does not run.
type Addresses struct {
	HTTP   string // URL of the console
	MQTT   string // host:port of the embedded broker
	Influx string // URL of InfluxDB
}

// system is one process: some of the three roles and what they stand on.
type system struct {
	config.Config
	log     *zap.Logger
	say     *progress
	metrics *prometheus.Registry
	holder  string // names this data folder in leases
	stack   *stack
	health  health
	rules   *ruleBook
	policy  alerts.Policy

	store     *sqlstore.Store
	registry  *registry
	influx    *influx.Client
	journal   *journal.Journal
	fleet     *fleet.Fleet   // nil: no ingest here
	broker    *broker.Broker // nil: the broker is elsewhere
	notifier  *notifymqtt.Notifier
	dispatch  *dispatch.Dispatcher
	downlink  *downlink.Runner
	api       atomic.Pointer[api.Server] // the engine nudges it, maybe before it serves
	addresses Addresses
}

// Up runs the roles of the configuration until ctx ends or one of them fails.
// ready, if not nil, is called once when all of them serve.
func Up(ctx context.Context, c config.Config, log *zap.Logger, say *progress, ready func(Addresses)) error {
	s := &system{
		Config: c, log: log, say: say,
		metrics: prometheus.NewRegistry(),
		stack:   newStack(log, c.StopTimeout),
	}
	s.metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	err := s.start(ctx)
	if err == nil {
		if ready != nil {
			ready(s.addresses)
		}
		err = s.stack.Wait(ctx)
		say.step("正在停止", "stopping")
	}
	return errors.Join(err, s.stack.Stop())
}

// start acquires and starts everything in the order in which one stands on the
// other; the stack gives it back in reverse.
func (s *system) start(ctx context.Context) error {
	if err := os.MkdirAll(s.Data, 0o700); err != nil {
		return fmt.Errorf("data: %w", err)
	}
	unlock, err := lockFolder(s.Data)
	if err != nil {
		return fmt.Errorf("data: %w", err)
	}
	s.stack.Close("data", unlock)
	if s.holder, err = folderID(s.Data); err != nil {
		return fmt.Errorf("data: %w", err)
	}
	s.stack.Go("health", s.health.run)
	for _, step := range []struct {
		wanted bool
		start  func(context.Context) error
	}{
		{s.Has(config.Alerts) || s.Has(config.API), s.readRules},
		{true, s.openStore},
		{s.Has(config.Alerts) || s.Has(config.API), s.openRules},
		{s.Demo, s.seedDemo},
		{s.Has(config.Alerts) || s.Has(config.API), s.seedSeasons},
		{s.Demo, s.seedDemoSources},
		{s.Has(config.Alerts) || s.Has(config.API), s.seedReadiness},
		{true, s.openRegistry},
		{s.Has(config.Ingest) || s.Has(config.API) || s.InfluxURL != "", s.openInflux},
		{s.Has(config.Ingest) || s.Has(config.Alerts), s.openJournal},
		{s.Has(config.Ingest), s.openFleet},
		{s.EmbeddedBroker(), s.openBroker},
		{true, s.followRoster},
		{s.Has(config.Ingest) || s.Has(config.Alerts), s.startIngest},
		{s.Has(config.Alerts), s.startAlerts},
		{s.Has(config.Alerts), s.startDanger},
		{s.Has(config.Alerts), s.startFeeds},
		{s.Has(config.Alerts) || s.Has(config.API), s.watchFeeds},
		{s.Has(config.Alerts), s.startPosture},
		{s.Has(config.API), s.seedAdmin},
		{s.Has(config.API), s.startAPI},
		{s.Has(config.Alerts) || s.Has(config.API), s.followRules},
		{s.Demo, s.startDemo},
	} {
		if !step.wanted {
			continue
		}
		if err := step.start(ctx); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	return nil
}

func (s *system) openStore(ctx context.Context) error {
	store, err := sqlstore.Open(ctx, sqlstore.Options{URL: s.StoreURL(), Log: s.log})
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	s.stack.Close("store", store.Close)
	if s.EmbeddedStore() {
		if err := store.Migrate(ctx); err != nil {
			return fmt.Errorf("store: %w", err)
		}
	} else if err := store.CheckSchema(ctx); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	s.store = store
	s.health.add("store", store.Ready)
	s.stack.Go("event purge", s.purgeEvents)
	return nil
}

// purgeEvents keeps the log of changes to what a listener could resume from.
func (s *system) purgeEvents(ctx context.Context) error {
	tick := time.NewTicker(time.Hour)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if _, err := s.store.PurgeEvents(ctx, 100_000, time.Now().AddDate(0, 0, -7)); err != nil && ctx.Err() == nil {
			s.log.Warn("purging old events", zap.Error(err))
		}
	}
}

func (s *system) openRegistry(ctx context.Context) error {
	r, err := newRegistry(ctx, s.store, s.Has(config.Alerts), s.log)
	if err != nil {
		return fmt.Errorf("roster: %w", err)
	}
	s.registry = r
	s.health.add("roster", func(context.Context) error { return r.Ready() })
	return nil
}

// followRoster comes after the broker, which is told of revoked credentials.
func (s *system) followRoster(context.Context) error {
	s.stack.Go("roster", func(ctx context.Context) error {
		return s.registry.Follow(ctx, func(username string) {
			if s.broker != nil {
				s.broker.Disconnect(username)
			}
		})
	})
	return nil
}

func (s *system) openJournal(context.Context) error {
	var readers []string
	if s.Has(config.Ingest) {
		readers = append(readers, influxReader, fleet.Reader)
	}
	if s.Has(config.Alerts) {
		readers = append(readers, alertsReader)
	}
	j, err := journal.Open(journal.Options{
		Dir: filepath.Join(s.Data, "journal"), MaxBytes: s.JournalMaxBytes, MaxAge: s.JournalMaxAge, Readers: readers, Owed: []string{influxReader},
		Log: s.log, Metrics: s.metrics,
	})
	if errors.Is(err, journal.ErrOwed) {
		return fmt.Errorf("%w; run with the role ingest until InfluxDB has them, or remove %s to give them up", err, filepath.Join(s.Data, "journal"))
	}
	if err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	s.stack.Close("journal", j.Close)
	s.health.add("journal", func(context.Context) error { return cmp.Or(j.Ready(), noted(j.Health())) })
	s.journal = j
	return nil
}

// openFleet comes before the broker, which tells it of devices that flood.
func (s *system) openFleet(context.Context) (err error) {
	s.fleet, err = fleet.New(fleet.Options{
		Journal: s.journal, Dir: s.Data, Health: s.influx, Shared: s.MQTTGroup != "", Log: s.log.Named("fleet"), Metrics: s.metrics,
	})
	if err != nil {
		return err
	}
	s.health.add("fleet", func(context.Context) error { return s.fleet.Ready() })
	s.stack.Go("fleet", s.fleet.Run)
	return nil
}

func (s *system) startAlerts(context.Context) error {
	url, username, password, conf, err := s.client("notify")
	if err != nil {
		return err
	}
	s.notifier, err = notifymqtt.New(notifymqtt.Options{
		URL: url, Username: username, Password: password, TLS: conf, ClientID: s.clientID() + "-notify", Log: s.log.Named("notify"),
	})
	if err != nil {
		return fmt.Errorf("notify: %w", err)
	}
	s.health.add("notify", func(context.Context) error { return s.notifier.Ready() })
	s.dispatch, err = dispatch.New(dispatch.Options{
		Orders: s.store, Roster: s.store, Events: s.store, Lease: s.store, Audit: s.store, Holder: s.holder,
		Notifiers: []alerts.Notifier{s.notifier}, Policy: s.policy, Log: s.log.Named("dispatch"), Registerer: s.metrics,
	})
	if err != nil {
		return fmt.Errorf("dispatch: %w", err)
	}
	s.health.add("dispatch", func(context.Context) error { return s.dispatch.Ready() })
	s.downlink, err = downlink.New(downlink.Options{
		Store: s.store, Lease: s.store, Audit: s.store, Holder: s.holder, Teller: s.notifier.Trackers(),
		Log: s.log.Named("downlink"), Registerer: s.metrics,
	})
	if err != nil {
		return fmt.Errorf("downlink: %w", err)
	}
	s.health.add("downlink", func(context.Context) error { return s.downlink.Ready() })
	feed := journalFeed{journal: s.journal, name: "journal:" + s.holder}
	judge, err := engine.New(engine.Options{
		Danger: s.store, DangerMethod: s.DangerMethod,
		Feed: feed, Roster: s.store, Alerts: s.store, Orders: s.store, Warnings: s.store, Feeds: s.store, Documents: s.store,
		Rules: s.rules.set(), Policy: s.policy,
		Incidents: s.store, Silences: s.store, Holdbacks: s.store, Hotspots: s.store,
		Answers: s.answer, Lease: s.store, Holder: s.holder, Demo: s.Demo,
		Nudge: func() {
			s.dispatch.Nudge()
			s.nudgeAPI()
		},
		Past: s.past(), Apart: !s.Has(config.Ingest),
		Log: s.log.Named("engine"), Registerer: s.metrics,
	})
	if err != nil {
		return fmt.Errorf("engine: %w", err)
	}
	s.health.add("engine", func(context.Context) error { return cmp.Or(judge.Ready(), noted(judge.Note())) })
	s.stack.Go("notify", s.notifier.Run)
	s.stack.Go("dispatch", s.dispatch.Run)
	s.stack.Go("downlink", s.downlink.Run)
	s.rules.swap = judge.Swap
	s.stack.Go("engine", judge.Run)
	return nil
}

// answer hands what a team or a tracker said to who gave the order.
func (s *system) answer(ctx context.Context, a contract.Answer) error {
	if a.Device != "" {
		return s.downlink.Answer(ctx, a)
	}
	return s.dispatch.Answer(ctx, a)
}

func (s *system) readRules(context.Context) (err error) {
	if s.policy, err = s.loadPolicy(); err != nil {
		return err
	}
	s.rules, err = newRuleBook(s.Rules, s.Demo, time.Now)
	return err
}

// loadPolicy reads the deadlines of orders: what the file does not say is as in
// those that come with firewatch.
func (s *system) loadPolicy() (alerts.Policy, error) {
	p := alerts.DefaultPolicy()
	if s.Policy == "" {
		return p, nil
	}
	raw, err := os.ReadFile(s.Policy)
	if err == nil {
		err = yaml.UnmarshalWithOptions(raw, &p, yaml.Strict())
	}
	if err == nil {
		err = p.Validate()
	}
	if err != nil {
		return p, fmt.Errorf("policy: %s: %w", s.Policy, err)
	}
	return p, nil
}

func (s *system) startAPI(ctx context.Context) error {
	files, built := console.FS()
	if !built {
		s.log.Warn("the console was not built; run make build")
	}
	desk, err := s.desk()
	if err != nil {
		return err
	}
	brokerAuth, err := s.brokerAuth()
	if err != nil {
		return err
	}
	server, err := api.New(api.Options{
		Desk: desk, BrokerAuth: brokerAuth,
		Roster: s.store, Accounts: s.store, Alerts: s.store, Orders: s.store, Commands: s.store, Warnings: s.store, Documents: s.store,
		Hotspots: s.store, Danger: s.store, DangerMethod: s.DangerMethod,
		Events: s.store, Audit: s.store,
		Readiness: s.store, TwoPerson: s.TwoPerson,
		Incidents: s.store, Silences: s.store, Holdbacks: s.store, SOSRule: s.rules.IsSOS,
		History: s.influx, Console: files, Policy: s.policy, Silence: s.rules.Silence, Rules: s.rules.InForce, Health: s.health.checks,
		Nudge: func() {
			if s.dispatch != nil {
				s.dispatch.Nudge()
				s.downlink.Nudge()
			}
		},
		Gatherer: s.metrics, Registerer: s.metrics, Log: s.log.Named("api"),
		SecureCookies: s.HTTPTLSCert != "", Version: Version(),
	})
	if err != nil {
		return fmt.Errorf("api: %w", err)
	}
	s.api.Store(server)
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", s.HTTP)
	if err != nil {
		return fmt.Errorf("http: %w", err)
	}
	web := server.HTTPServer()
	serve := func() error { return web.Serve(l) }
	scheme := "http"
	if s.HTTPTLSCert != "" {
		scheme = "https"
		serve = func() error { return web.ServeTLS(l, s.HTTPTLSCert, s.HTTPTLSKey) }
	}
	s.addresses.HTTP = scheme + "://" + l.Addr().String()
	s.stack.Go("api", func(ctx context.Context) error {
		context.AfterFunc(ctx, func() {
			server.Close() // ends the event streams, or Shutdown would wait for them
			stop, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			defer cancel()
			if err := web.Shutdown(stop); err != nil {
				_ = web.Close() // those that still hang
			}
		})
		if err := serve(); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	return nil
}

func (s *system) nudgeAPI() {
	if server := s.api.Load(); server != nil {
		server.Nudge()
	}
}

// clientID names this process at the broker. It is the same after a restart,
// with whatever roles, and not that of another process.
func (s *system) clientID() string {
	if s.MQTTClientID != "" {
		return s.MQTTClientID
	}
	return "firewatch-" + s.holder
}
