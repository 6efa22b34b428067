package api

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"firewatch/alerts"
	v1 "firewatch/api/v1"
	contract "firewatch/firmware-contracts"
	"firewatch/ingest"
)

// Check is one part of the system as it is: whether it works, and why not. The
// store's is named v1.PartStore, the roster's v1.PartRoster, the history's
// v1.PartHistory; other names are only shown.
type Check = v1.Check

// Options are what a Server is made of. All are required unless said otherwise.
type Options struct {
	Roster    alerts.RosterStore
	Accounts  alerts.AccountStore
	Alerts    alerts.AlertStore
	Orders    alerts.OrderStore
	Commands  alerts.CommandStore // to trackers
	Warnings  alerts.WarningStore
	Documents alerts.DocumentStore
	Incidents alerts.IncidentStore
	Silences  alerts.SilenceStore
	Holdbacks alerts.HoldbackStore
	Danger    alerts.DangerStore
	Hotspots  alerts.HotspotStore
	Events    alerts.EventStore
	Audit     alerts.AuditStore
	History   ingest.History

	Readiness alerts.ReadinessStore // of townships and professional teams
	// TwoPerson has a version of the readiness table wait for the approval of
	// another person than its author.
	TwoPerson bool

	// Console holds the built console with its index.html. Nil, or without that
	// file, a page says that the console was not built.
	Console fs.FS
	// Policy sets the deadlines of answers.
	Policy alerts.Policy
	// DangerMethod is the one whose danger level counts; empty: alerts.DangerHTZ.
	DangerMethod string
	// Silence tells from when on a device of a kind is silent: after factor times
	// its expected interval, and at least a time. It should say what the rule
	// device_silent says; nil: v1.DefaultSilence.
	Silence func(kind contract.Kind) (factor float64, least time.Duration)
	// Rules are the alert rules in force, to be shown; nil: none are.
	Rules func() v1.RulesInForce
	// SOSRule tells whether a rule is of calls for help, which nobody may silence;
	// nil: the one named sos is.
	SOSRule func(rule string) bool
	// Health tells how each part is; it must be quick. A reason goes out to
	// offices and administrators, and to those who ask from this machine.
	Health func(context.Context) []Check
	// Nudge tells those who bring orders and commands out that there is work; nil:
	// they find out themselves.
	Nudge func()
	// Now is the time; nil: time.Now.
	Now func() time.Time

	// Desk is what devices are registered and changed with; nil: not here.
	Desk *v1.Desk
	// BrokerAuth answers external MQTT brokers under /mqtt/; nil: nobody does.
	BrokerAuth http.Handler

	Gatherer   prometheus.Gatherer
	Registerer prometheus.Registerer
	Log        *zap.Logger

	// SecureCookies keeps the session cookie to TLS.
	SecureCookies bool
	// TrustedProxies are the addresses or networks whose X-Forwarded-For is
	// believed; usually none.
	TrustedProxies []string
	Version        string
	// EventPoll is the time between two looks at the event log; 0: 250 ms.
	EventPoll time.Duration
}

const (
	defaultEventPoll = 250 * time.Millisecond
	maxListeners     = 2000
	maxPerUser       = 32
)

// check names the first option that cannot be used, and fills in the rest.
func (o *Options) check() error {
	for _, f := range []struct {
		name string
		set  bool
	}{
		{"Roster", o.Roster != nil},
		{"Accounts", o.Accounts != nil},
		{"Alerts", o.Alerts != nil},
		{"Orders", o.Orders != nil},
		{"Commands", o.Commands != nil},
		{"Warnings", o.Warnings != nil},
		{"Documents", o.Documents != nil},
		{"Incidents", o.Incidents != nil},
		{"Silences", o.Silences != nil},
		{"Holdbacks", o.Holdbacks != nil},
		{"Danger", o.Danger != nil},
		{"Hotspots", o.Hotspots != nil},
		{"Events", o.Events != nil},
		{"Readiness", o.Readiness != nil},
		{"Audit", o.Audit != nil},
		{"History", o.History != nil},
		{"Health", o.Health != nil},
		{"Gatherer", o.Gatherer != nil},
		{"Registerer", o.Registerer != nil},
		{"Log", o.Log != nil},
		{"Version", o.Version != ""},
	} {
		if !f.set {
			return fmt.Errorf("api options: %s is missing", f.name)
		}
	}
	if d := o.Desk; d != nil && (d.Devices == nil || d.Tables == nil || d.NewSecret == nil || d.HashSecret == nil) {
		return errors.New("api options: Desk: Devices, Tables, NewSecret and HashSecret are required")
	}
	if err := o.Policy.Validate(); err != nil {
		return fmt.Errorf("api options: Policy: %w", err)
	}
	if o.DangerMethod == "" {
		o.DangerMethod = alerts.DangerHTZ
	}
	if !slices.Contains(alerts.DangerMethods, o.DangerMethod) {
		return fmt.Errorf("api options: DangerMethod %q: want one of %v", o.DangerMethod, alerts.DangerMethods)
	}
	if o.EventPoll < 0 || o.EventPoll > time.Minute {
		return fmt.Errorf("api options: EventPoll %s: want 0..1m", o.EventPoll)
	}
	if o.EventPoll == 0 {
		o.EventPoll = defaultEventPoll
	}
	if o.Silence == nil {
		o.Silence = v1.DefaultSilence
	}
	if o.SOSRule == nil {
		o.SOSRule = func(rule string) bool { return rule == "sos" }
	}
	if o.Nudge == nil {
		o.Nudge = func() {}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return nil
}
