package alerts

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	contract "firewatch/firmware-contracts"
)

// CommandKind is what a tracker or its warden is asked to do.
type CommandKind string

// The kinds of commands. A newer one of a kind takes the place of the one
// before, but for messages, which are all shown.
const (
	CommandMessage CommandKind = "message" // shows a text to the warden
	CommandLocate  CommandKind = "locate"  // sends a position now
	CommandReturn  CommandKind = "return"  // the warden is called back
	CommandConfig  CommandKind = "config"  // changes settings of the device, in Text
)

// CommandKinds lists every kind.
var CommandKinds = []CommandKind{CommandMessage, CommandLocate, CommandReturn, CommandConfig}

// CommandState is where a command stands. Sent, delivered, read and answered are
// four things.
type CommandState string

// The states of a command. The first four are open.
const (
	CommandQueued     CommandState = "queued"    // not yet at the broker
	CommandSent       CommandState = "sent"      // at the broker, which keeps it for the device
	CommandDelivered  CommandState = "delivered" // the device has it
	CommandRead       CommandState = "read"      // the warden has opened it
	CommandAnswered   CommandState = "answered"
	CommandExpired    CommandState = "expired"
	CommandSuperseded CommandState = "superseded" // a newer one of its kind took its place
	CommandWithdrawn  CommandState = "withdrawn"  // by a person
)

// Open reports whether the device is still to have the command before it.
func (s CommandState) Open() bool { return s.rank() >= 0 && s.rank() < 4 }

func (s CommandState) rank() int {
	return slices.Index([]CommandState{
		CommandQueued, CommandSent, CommandDelivered, CommandRead,
		CommandAnswered, CommandExpired, CommandSuperseded, CommandWithdrawn,
	}, s)
}

// Bounds of commands.
const (
	CommandTTLMin = time.Minute
	CommandTTLMax = 7 * 24 * time.Hour
	// MaxOpenCommands is how many one device may have before it.
	MaxOpenCommands = 16
	// commandRetell is how long after a command was handed to the broker without
	// a receipt of the device it is said again: a broker may have lost it.
	commandRetell = 10 * time.Minute
)

// Command is one order to one tracker.
type Command struct {
	ID     string
	Device contract.DeviceID
	Area   string // of the device when it was given, for who may see it
	Kind   CommandKind
	Text   string
	Drill  bool
	Issuer string
	// Key is the issuer's idempotency key; empty: none.
	Key string

	Issued  time.Time
	Expires time.Time // from then on it is not shown any more

	State     CommandState
	Sent      time.Time // first handed to the broker
	Delivered time.Time
	Read      time.Time
	Ended     time.Time // answered, expired, superseded or withdrawn
	Answer    contract.Receipt
	Reason    string // of a rejection, or of a withdrawal
	By        string // who answered or withdrew it, or the id of the command that superseded it

	// NextAt is when something is due: to be said (again), or to expire. Of an
	// open command it is never later than Expires. Zero: nothing, which is so once
	// the device's state was told without a command that has ended.
	NextAt time.Time
}

// NewCommand checks what is asked for and makes a queued command of it. The
// error names the field.
func NewCommand(c Command, now time.Time) (Command, error) {
	if err := c.Device.Validate(); err != nil {
		return c, err
	}
	if !slices.Contains(CommandKinds, c.Kind) {
		return c, fmt.Errorf("kind %q: want message, locate, return or config", c.Kind)
	}
	c.Text = strings.TrimSpace(c.Text)
	switch {
	case c.Text == "" && (c.Kind == CommandMessage || c.Kind == CommandConfig):
		return c, errors.New("text: missing")
	case len(c.Text) > contract.MaxTextBytes || !utf8.ValidString(c.Text) || strings.ContainsRune(c.Text, 0):
		return c, fmt.Errorf("text: at most %d bytes of UTF-8", contract.MaxTextBytes)
	case c.Issuer == "":
		return c, errors.New("issuer: missing")
	}
	ttl := c.Expires.Sub(now)
	if ttl < CommandTTLMin || ttl > CommandTTLMax {
		return c, fmt.Errorf("expires: want between %s and %s from now", CommandTTLMin, CommandTTLMax)
	}
	return Command{
		ID: NewID("cm", now), Device: c.Device, Area: c.Area, Kind: c.Kind, Text: c.Text, Drill: c.Drill,
		Issuer: c.Issuer, Key: c.Key, Issued: now, Expires: c.Expires, State: CommandQueued, NextAt: now,
	}, nil
}

// Supersedes reports whether the newer command c takes the place of old.
func (c *Command) Supersedes(old *Command) bool {
	return c.Kind != CommandMessage && c.Kind == old.Kind && c.Device == old.Device && c.Drill == old.Drill && old.State.Open()
}

// End closes the command. One that has ended stays as it is.
func (c *Command) End(state CommandState, by, reason string, now time.Time) (changed bool) {
	if !c.State.Open() || state.Open() {
		return false
	}
	c.State, c.By, c.Reason, c.Ended = state, by, reason, now
	c.NextAt = now // the device is told that it is gone
	return true
}

// Told notes that the broker has taken over the state with this command in it,
// or, when it has ended, without it.
func (c *Command) Told(now time.Time) {
	if !c.State.Open() {
		c.NextAt = time.Time{}
		return
	}
	earliest(&c.Sent, later(now, c.Issued))
	if c.State == CommandQueued {
		c.State = CommandSent
	}
	c.NextAt = c.Expires
	if c.State == CommandSent && now.Add(commandRetell).Before(c.Expires) {
		c.NextAt = now.Add(commandRetell)
	}
}

// Expire ends the command when its time has come.
func (c *Command) Expire(now time.Time) (changed bool) {
	return !now.Before(c.Expires) && c.End(CommandExpired, "", "", now)
}

// Take takes in what the device says of the command. The same again changes
// nothing; receipts may come in any order and late: what came of a command that
// has ended is noted, and it stays ended. The error matches ErrAnswer.
func (c *Command) Take(a contract.Answer, now time.Time) (changed bool, err error) {
	if !slices.Contains(contract.Receipts, a.Receipt) {
		return false, fmt.Errorf("%w: %q is no receipt", ErrAnswer, a.Receipt)
	}
	if a.Receipt == contract.Rejected && a.Reason == "" {
		return false, fmt.Errorf("%w: a rejection needs a reason", ErrAnswer)
	}
	heard := now
	if !a.Received.IsZero() && a.Received.Before(now) {
		heard = a.Received // it may have waited in a journal since
	}
	said := a.At
	if said.IsZero() || said.After(heard) || said.Before(c.Issued) {
		said = later(heard, c.Issued) // a clock that is wrong must not make it answered before it was given
	}
	before := *c
	earliest(&c.Sent, said)
	earliest(&c.Delivered, said)
	state := CommandDelivered
	if a.Receipt != contract.Delivered {
		earliest(&c.Read, said)
		state = CommandRead
	}
	if a.Receipt.Answer() {
		state = CommandAnswered
		if c.Answer == "" {
			c.Answer = a.Receipt
			if c.State.Open() {
				c.Reason, c.By, c.Ended = a.Reason, a.By, said
			}
		}
	}
	if c.State.Open() && state.rank() > c.State.rank() {
		c.State = state
		c.NextAt = c.Expires
		if state == CommandAnswered {
			c.NextAt = now // the device is told that it is done
		}
	}
	return *c != before, nil
}

// Level is how grave the command is.
func (c *Command) Level() Severity {
	if c.Kind == CommandReturn {
		return Orange
	}
	return Blue
}

// OnWire is the command as the device sees it.
func (c *Command) OnWire() contract.Order {
	return contract.Order{
		ID: c.ID, Kind: string(c.Kind), Level: c.Level().String(), Text: c.Text, Drill: c.Drill,
		Issued: c.Issued, AnswerBy: c.Expires, Issuer: c.Issuer,
	}
}

// CommandEvent tells that the command is what it is now.
func CommandEvent(c *Command, at time.Time) Event {
	data, _ := json.Marshal(struct { // strings only: it cannot go wrong
		ID     string            `json:"id"`
		Device contract.DeviceID `json:"device"`
		State  CommandState      `json:"state"`
	}{c.ID, c.Device, c.State})
	return Event{At: at, Type: EventCommand, Area: c.Area, Data: data}
}
