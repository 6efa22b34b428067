package alerts

import (
	"context"
	"errors"
	"fmt"
	"time"

	contract "firewatch/firmware-contracts"
)

// The errors of the store ports.
var (
	ErrNotFound = errors.New("not found")
	ErrConflict = errors.New("conflict") // a unique name is taken, or an idempotency key was used for another order
	// ErrTooManyCommands is an ErrConflict: the device has MaxOpenCommands open.
	ErrTooManyCommands = fmt.Errorf("too many open commands: %w", ErrConflict)
	// ErrUnavailable says that the store's database is away or takes no writes
	// for now: the same call may work later.
	ErrUnavailable = errors.New("store unavailable")
)

// RosterStore keeps areas, teams and devices.
type RosterStore interface {
	Areas(ctx context.Context) ([]Area, error)
	Teams(ctx context.Context) ([]Team, error)
	Devices(ctx context.Context) ([]Device, error)
	// ReplaceRoster exchanges the whole roster in one transaction, or nothing.
	// A device or team without SecretHash keeps the one it had.
	ReplaceRoster(ctx context.Context, r Roster, at time.Time) error
	// SaveDevice adds or changes one device.
	SaveDevice(ctx context.Context, d Device, at time.Time) error
	// RosterVersion grows with every change and is cheap to ask for; demo tells
	// whether the roster is the sample set.
	RosterVersion(ctx context.Context) (version int64, demo bool, err error)
}

// DeviceStore changes devices one by one or some at once. Two devices with one
// alias are ErrConflict, here and in a RosterStore.
type DeviceStore interface {
	// ChangeDevices makes the whole change in one transaction, or nothing.
	ChangeDevices(ctx context.Context, c DeviceChange, at time.Time) error
	// UpdateDevice reads, changes and saves a device in one transaction and
	// returns it as it is then. An error of change changes nothing.
	UpdateDevice(ctx context.Context, id contract.DeviceID, change func(*Device) error, at time.Time) (Device, error)
}

// AccountStore keeps users and sessions.
type AccountStore interface {
	User(ctx context.Context, username string) (User, error)
	Users(ctx context.Context) ([]User, error)
	SaveUser(ctx context.Context, u User) error
	CreateSession(ctx context.Context, s Session) error
	// Session returns a session that has not expired at now, and its user.
	Session(ctx context.Context, tokenHash string, now time.Time) (Session, User, error)
	DeleteSession(ctx context.Context, tokenHash string) error
}

// Judged is what one round of the engine changed; saved in one transaction.
type Judged struct {
	Feed     string // name of the feed that Position belongs to; empty: leave it
	Position uint64 // judged up to here
	States   []RuleState
	Cleared  []RuleState // states to delete; Rule and Subject matter
	Alerts   []Alert     // inserted, or replaced but for Acks and Order, which others own
	// Incidents are inserted, or replaced but for Confirmed, Refuted, By, Order
	// and OrderLevel, which others own.
	Incidents []Incident
	Hotspots  []JudgedHotspot
	Events    []Event
}

// AlertStore keeps alerts and the engine's state.
type AlertStore interface {
	SaveJudged(ctx context.Context, j Judged) error
	// JudgedPosition is the position last saved for the feed; ok false: none.
	JudgedPosition(ctx context.Context, feed string) (pos uint64, ok bool, err error)
	RuleStates(ctx context.Context) ([]RuleState, error)
	Alert(ctx context.Context, id string) (Alert, error)
	// Alerts are listed newest first.
	Alerts(ctx context.Context, q AlertQuery) ([]Alert, error)
	// UpdateAlert reads, changes and saves an alert in one transaction.
	UpdateAlert(ctx context.Context, id string, change func(*Alert) ([]Event, error)) (Alert, error)
}

// AlertQuery selects alerts.
type AlertQuery struct {
	State    AlertState // empty: all
	Area     string     // empty: all; else this area and below
	Device   contract.DeviceID
	Incident string   // empty: all
	Hushed   HushedIs // empty: all
	Before   string   // page: alerts older than the one with this id
	Limit    int      // 1..1000
}

// HushedIs selects alerts by whether something keeps them from people.
type HushedIs string

// What AlertQuery.Hushed may be beside empty.
const (
	HushedNo  HushedIs = "no"
	HushedYes HushedIs = "yes"
)

// OrderStore keeps orders, deliveries and attempts.
type OrderStore interface {
	// CreateOrder saves the order, its deliveries and the events in one
	// transaction. If the issuer used the idempotency key before, the earlier
	// order is returned and created is false; ErrConflict when that one was
	// asked for otherwise: Asked differs or, where one of both has none, the
	// kind, level, text, drill or alert. Teams, times and reasons may differ,
	// they hang on when it is asked. When the order names an alert, the alert's
	// Order is set, and unless it is a drill or reaches nobody
	// its incident's Order and OrderLevel.
	CreateOrder(ctx context.Context, o Order, ds []Delivery, evs []Event) (saved Order, created bool, err error)
	Order(ctx context.Context, id string) (Order, error)
	// OrderByKey is the order for which the issuer used the idempotency key.
	OrderByKey(ctx context.Context, issuer, key string) (Order, error)
	Orders(ctx context.Context, q OrderQuery) ([]Order, error)
	Deliveries(ctx context.Context, order string) ([]Delivery, error)
	// TeamDeliveries are one team's, newest order first.
	TeamDeliveries(ctx context.Context, team contract.TeamID, limit int) ([]Delivery, error)
	// DueDeliveries are those of open orders with NextAt at or before now, the
	// gravest level and then the longest due first.
	DueDeliveries(ctx context.Context, now time.Time, limit int) ([]Delivery, error)
	// UpdateDelivery reads, changes and saves a delivery in one transaction,
	// with the attempts and events that change returns, and completes the order
	// when every delivery has been answered.
	UpdateDelivery(ctx context.Context, order string, team contract.TeamID,
		change func(*Delivery, Order) (DeliveryChange, error)) (Delivery, error)
	Attempts(ctx context.Context, order string) ([]Attempt, error)
	// Tallies counts the deliveries of the orders.
	Tallies(ctx context.Context, orders []string) (map[string]Tally, error)
}

// DeliveryChange is what goes with a changed delivery.
type DeliveryChange struct {
	Attempts []Attempt
	Events   []Event
}

// OrderQuery selects orders, newest first.
type OrderQuery struct {
	Status OrderStatus     // empty: all
	Area   string          // empty: all; else orders with a target in this area or below
	Team   contract.TeamID // empty: all
	Before string
	Limit  int
}

// CommandStore keeps commands to trackers.
type CommandStore interface {
	// CreateCommand saves the command and, in the same transaction, ends those
	// that it supersedes, with an event for each. If the issuer used the key
	// before, the earlier command is returned and created is false; ErrConflict
	// when that one was asked for otherwise (device, kind, text or drill),
	// ErrTooManyCommands when the device has MaxOpenCommands already.
	CreateCommand(ctx context.Context, c Command, evs []Event) (saved Command, created bool, err error)
	Command(ctx context.Context, id string) (Command, error)
	Commands(ctx context.Context, q CommandQuery) ([]Command, error)
	// DueCommands are the devices with a command whose NextAt is at or before
	// now, the longest due first.
	DueCommands(ctx context.Context, now time.Time, limit int) ([]contract.DeviceID, error)
	// OpenDevices are all devices with a command that is open, or that ended
	// before it would have expired: they are told again when the broker may have
	// lost what it kept, or come back with what it kept long ago.
	OpenDevices(ctx context.Context, now time.Time) ([]contract.DeviceID, error)
	// UpdateCommands reads all commands of the device that are open or due,
	// oldest first, lets change change them, and saves those that it returns and
	// that differ, in one transaction. Who a command is for and what it says
	// never changes.
	UpdateCommands(ctx context.Context, device contract.DeviceID, now time.Time,
		change func([]Command) ([]Command, []Event, error)) error
	// UpdateCommand is UpdateCommands of one command, in whatever state.
	UpdateCommand(ctx context.Context, id string, change func(*Command) ([]Event, error)) (Command, error)
}

// CommandQuery selects commands, newest first.
type CommandQuery struct {
	Device contract.DeviceID // empty: all
	Area   string            // empty: all; else this area and below
	Open   bool              // only open ones
	Before string            // page: older than the one with this id
	Limit  int               // 1..1000
}

// WarningStore keeps weather warnings and the season table.
type WarningStore interface {
	// SaveWarning stores a message, and ends the ones its references supersede
	// or cancel, in one transaction. The same message again changes nothing
	// and returns the stored one with created false; another message (Raw) of
	// the same sender, identifier and time sent is ErrConflict.
	SaveWarning(ctx context.Context, w Warning, evs []Event) (saved Warning, created bool, err error)
	// Warnings are listed newest first; inForceAt non-zero keeps those with a
	// block in force then.
	Warnings(ctx context.Context, inForceAt time.Time, limit int) ([]Warning, error)
	Warning(ctx context.Context, id string) (Warning, error)
	// Seasons is the table in force at the time; ErrNotFound when none is.
	Seasons(ctx context.Context, at time.Time) (SeasonTable, error)
	// SaveSeasons adds a version of the table; ErrConflict if that version
	// exists with other content.
	SaveSeasons(ctx context.Context, t SeasonTable, at time.Time) error
}

// EventStore is the log of changes.
type EventStore interface {
	// Events returns up to limit events with an id above after, oldest first.
	// An event is never seen before one with a lower id.
	Events(ctx context.Context, after int64, limit int) ([]Event, error)
	// LastEvent is the highest id, 0 when there is none.
	LastEvent(ctx context.Context) (int64, error)
}

// AuditStore is the record of who did what.
type AuditStore interface {
	SaveAudit(ctx context.Context, a Audit) error
	Audits(ctx context.Context, limit int) ([]Audit, error)
}

// Audit is one entry of the record.
type Audit struct {
	At      time.Time
	Actor   string
	Action  string // "order.create", "session.create", …
	Subject string
	Detail  string
}

// LeaseStore elects one holder per name.
type LeaseStore interface {
	// AcquireLease takes or renews the lease for ttl from now; false: another
	// holder has it. A store that several machines share goes by its own clock
	// and not by now.
	AcquireLease(ctx context.Context, name, holder string, now time.Time, ttl time.Duration) (bool, error)
	ReleaseLease(ctx context.Context, name, holder string) error
}

// Batch is a run of input in order of arrival.
type Batch struct {
	Readings []contract.Reading
	Answers  []contract.Answer
	Next     uint64 // position after the batch
}

// Feed brings accepted readings and answers to the engine, in order of arrival.
type Feed interface {
	// Name identifies the feed's positions across restarts.
	Name() string
	// Read waits for input at or after from and returns up to limit entries.
	Read(ctx context.Context, from uint64, limit int) (Batch, error)
	// Seek is a position from which all input received at t or later follows.
	Seek(t time.Time) uint64
	// Release lets the feed forget what lies before pos.
	Release(pos uint64) error
}

// A Notifier is one channel to teams. Errors are typed: *PermanentError means
// that this channel will never reach the team, *ThrottledError "not before";
// anything else is worth another try.
type Notifier interface {
	Channel() string
	// Notify hands the team all its open orders (state, not edges): first is
	// the gravest. An empty list takes back what was said before. A nil error
	// means that the channel has taken it over, not that it arrived.
	Notify(ctx context.Context, team Team, open []contract.Order) error
}

// PermanentError says that trying again on this channel is useless.
type PermanentError struct{ Cause error }

func (e *PermanentError) Error() string { return "permanent: " + e.Cause.Error() }

// Unwrap returns the cause.
func (e *PermanentError) Unwrap() error { return e.Cause }

// ThrottledError says not to try before After has passed.
type ThrottledError struct {
	After time.Duration
	Cause error
}

func (e *ThrottledError) Error() string { return "throttled: " + e.Cause.Error() }

// Unwrap returns the cause.
func (e *ThrottledError) Unwrap() error { return e.Cause }
