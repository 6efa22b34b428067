package alerts

import (
	"errors"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	contract "firewatch/firmware-contracts"
)

func asked() Command {
	return Command{Device: "trk-1", Area: "130633100", Kind: CommandReturn, Text: "请返回", Issuer: "duty", Expires: at(60)}
}

// given is a queued command that expires an hour after it was issued at t0.
func given(tb interface{ Fatal(args ...any) }) Command {
	c, err := NewCommand(asked(), t0)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

// hear is what the device says, by its own clock, and when it was received.
func hear(r contract.Receipt, said, received float64) contract.Answer {
	a := contract.Answer{Device: "trk-1", Receipt: r, At: at(said), Received: at(received), By: "张三"}
	if r == contract.Rejected {
		a.Reason = "路断了"
	}
	return a
}

func TestNewCommandNamesWhatIsWrong(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*Command)
		want   string // empty: it is taken
	}{
		"as it should be":            {func(*Command) {}, ""},
		"no text where none need be": {func(c *Command) { c.Kind, c.Text = CommandLocate, " \n" }, ""},
		"the shortest time":          {func(c *Command) { c.Expires = t0.Add(CommandTTLMin) }, ""},
		"the longest time":           {func(c *Command) { c.Expires = t0.Add(CommandTTLMax) }, ""},
		"no device":                  {func(c *Command) { c.Device = "" }, "device"},
		"a device that is no id":     {func(c *Command) { c.Device = "a/b" }, "device"},
		"no kind":                    {func(c *Command) { c.Kind = "" }, "kind"},
		"a kind of orders to teams":  {func(c *Command) { c.Kind = "standby" }, "kind"},
		"a message without text":     {func(c *Command) { c.Kind, c.Text = CommandMessage, "  " }, "text"},
		"settings without text":      {func(c *Command) { c.Kind, c.Text = CommandConfig, "" }, "text"},
		"a text too long":            {func(c *Command) { c.Text = strings.Repeat("火", contract.MaxTextBytes) }, "text"},
		"a text that is none":        {func(c *Command) { c.Text = "a\xffb" }, "text"},
		"a text with a zero byte":    {func(c *Command) { c.Text = "a\x00b" }, "text"},
		"nobody who gives it":        {func(c *Command) { c.Issuer = "" }, "issuer"},
		"no end":                     {func(c *Command) { c.Expires = time.Time{} }, "expires"},
		"an end too near":            {func(c *Command) { c.Expires = t0.Add(CommandTTLMin - 1) }, "expires"},
		"an end too far":             {func(c *Command) { c.Expires = t0.Add(CommandTTLMax + 1) }, "expires"},
	} {
		t.Run(name, func(t *testing.T) {
			c := asked()
			tt.change(&c)
			got, err := NewCommand(c, t0)
			if tt.want != "" {
				if err == nil || !strings.Contains(err.Error(), tt.want) {
					t.Fatalf("error %v, want one that names %s", err, tt.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got.State != CommandQueued || !got.NextAt.Equal(t0) || !got.Issued.Equal(t0) || !strings.HasPrefix(got.ID, "cm-") {
				t.Errorf("%+v", got)
			}
		})
	}
}

func TestOnlyTheFirstFourStatesAreOpen(t *testing.T) {
	for s, want := range map[CommandState]bool{
		CommandQueued: true, CommandSent: true, CommandDelivered: true, CommandRead: true,
		CommandAnswered: false, CommandExpired: false, CommandSuperseded: false, CommandWithdrawn: false, "": false, "new": false,
	} {
		if s.Open() != want {
			t.Errorf("%q: open %v", s, !want)
		}
	}
}

func TestSupersedes(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(older, newer *Command)
		want   bool
	}{
		"a newer one of the kind":  {func(_, _ *Command) {}, true},
		"messages stand together":  {func(o, n *Command) { o.Kind, n.Kind = CommandMessage, CommandMessage }, false},
		"another kind":             {func(o, _ *Command) { o.Kind = CommandLocate }, false},
		"another device":           {func(o, _ *Command) { o.Device = "trk-2" }, false},
		"a drill and a real one":   {func(_, n *Command) { n.Drill = true }, false},
		"a real one and a drill":   {func(o, _ *Command) { o.Drill = true }, false},
		"two drills":               {func(o, n *Command) { o.Drill, n.Drill = true, true }, true},
		"one that is read":         {func(o, _ *Command) { o.State = CommandRead }, true},
		"one that is answered":     {func(o, _ *Command) { o.State = CommandAnswered }, false},
		"one that was taken back":  {func(o, _ *Command) { o.State = CommandWithdrawn }, false},
		"one that expired already": {func(o, _ *Command) { o.State = CommandExpired }, false},
	} {
		t.Run(name, func(t *testing.T) {
			older, newer := given(t), given(t)
			tt.change(&older, &newer)
			if got := newer.Supersedes(&older); got != tt.want {
				t.Errorf("supersedes: %v", got)
			}
		})
	}
}

func TestCommandReceipts(t *testing.T) {
	for _, tt := range []struct {
		name  string
		in    []contract.Answer // received as they stand
		state CommandState
		want  [3]time.Time // sent, delivered, read
		ans   contract.Receipt
		next  time.Time
	}{
		{"delivered", []contract.Answer{hear(contract.Delivered, 2, 2)}, CommandDelivered, [3]time.Time{at(1), at(2)}, "", at(60)},
		{"read fills delivered", []contract.Answer{hear(contract.Read, 3, 3)}, CommandRead, [3]time.Time{at(1), at(3), at(3)}, "", at(60)},
		{
			"delivered after read gives the true time",
			[]contract.Answer{hear(contract.Read, 3, 3), hear(contract.Delivered, 2, 4)},
			CommandRead,
			[3]time.Time{at(1), at(2), at(3)},
			"",
			at(60),
		},
		{
			"all in order",
			[]contract.Answer{hear(contract.Delivered, 2, 2), hear(contract.Read, 3, 3), hear(contract.Accepted, 4, 4)},
			CommandAnswered,
			[3]time.Time{at(1), at(2), at(3)},
			contract.Accepted,
			at(4),
		},
		{
			"all backwards",
			[]contract.Answer{hear(contract.Accepted, 4, 4), hear(contract.Read, 3, 5), hear(contract.Delivered, 2, 6)},
			CommandAnswered,
			[3]time.Time{at(1), at(2), at(3)},
			contract.Accepted,
			at(4),
		},
		{"the answer alone", []contract.Answer{hear(contract.Rejected, 4, 9)}, CommandAnswered, [3]time.Time{at(1), at(4), at(4)}, contract.Rejected, at(9)},
		{
			"another answer does not take the first one back",
			[]contract.Answer{hear(contract.Accepted, 4, 4), hear(contract.Rejected, 5, 5)},
			CommandAnswered,
			[3]time.Time{at(1), at(4), at(4)},
			contract.Accepted,
			at(4),
		},
		{"a clock that is fast", []contract.Answer{hear(contract.Delivered, 30, 2)}, CommandDelivered, [3]time.Time{at(1), at(2)}, "", at(60)},
		{"a clock from before it was given", []contract.Answer{hear(contract.Delivered, -30, 2)}, CommandDelivered, [3]time.Time{at(1), at(2)}, "", at(60)},
		{
			"no time that counts",
			[]contract.Answer{{Device: "trk-1", Receipt: contract.Delivered, Received: at(2)}},
			CommandDelivered,
			[3]time.Time{at(1), at(2)},
			"",
			at(60),
		},
		{
			"heard before the state was known to be told", // by a process that died in between
			[]contract.Answer{hear(contract.Delivered, 0.5, 2)},
			CommandDelivered,
			[3]time.Time{at(0.5), at(0.5)},
			"",
			at(60),
		},
		{
			"received by a machine whose clock is behind the issuer's",
			[]contract.Answer{hear(contract.Delivered, -2, -1)},
			CommandDelivered,
			[3]time.Time{t0, t0},
			"",
			at(60),
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := given(t)
			c.Told(at(1))
			for _, a := range tt.in {
				before := c
				if changed, err := c.Take(a, later(a.Received, at(1))); err != nil || changed != (c != before) {
					t.Fatalf("%+v: %v, %v", a, changed, err)
				}
				was := c
				if changed, err := c.Take(a, later(a.Received, at(1)).Add(time.Minute)); err != nil || changed || c != was {
					t.Errorf("%s again: %v, %v\n%+v\n%+v", a.Receipt, changed, err, was, c)
				}
			}
			if got := [3]time.Time{c.Sent, c.Delivered, c.Read}; c.State != tt.state || got != tt.want || c.Answer != tt.ans {
				t.Errorf("%s %v %s, want %s %v %s", c.State, got, c.Answer, tt.state, tt.want, tt.ans)
			}
			if !c.NextAt.Equal(tt.next) {
				t.Errorf("next at %s, want %s", c.NextAt, tt.next)
			}
		})
	}
}

func TestAnswerSaysWhoAndWhy(t *testing.T) {
	c := given(t)
	if _, err := c.Take(hear(contract.Rejected, 4, 9), at(10)); err != nil {
		t.Fatal(err)
	}
	if c.By != "张三" || c.Reason != "路断了" || !c.Ended.Equal(at(4)) {
		t.Errorf("by %q, reason %q, ended %s", c.By, c.Reason, c.Ended)
	}
}

func TestLateReceiptIsNotedAndChangesNothingElse(t *testing.T) {
	for _, state := range []CommandState{CommandExpired, CommandSuperseded, CommandWithdrawn} {
		c := given(t)
		c.Told(at(1))
		if !c.End(state, "duty", "不用了", at(10)) {
			t.Fatal("not ended")
		}
		c.Told(at(11))
		changed, err := c.Take(hear(contract.Rejected, 9, 30), at(30))
		if err != nil || !changed || c.State != state || c.Answer != contract.Rejected || !c.Read.Equal(at(9)) {
			t.Errorf("%s: %v, %v: %+v", state, changed, err, c)
		}
		if c.By != "duty" || c.Reason != "不用了" || !c.Ended.Equal(at(10)) || !c.NextAt.IsZero() {
			t.Errorf("%s was overwritten: %+v", state, c)
		}
	}
}

func TestReceiptThatIsNone(t *testing.T) {
	c := given(t)
	was := c
	for _, a := range []contract.Answer{
		{Receipt: ""}, {Receipt: "maybe"}, {Receipt: contract.Rejected, At: at(1)},
	} {
		if changed, err := c.Take(a, at(1)); changed || !errors.Is(err, ErrAnswer) || c != was {
			t.Errorf("%q: %v, %v", a.Receipt, changed, err)
		}
	}
}

func TestTold(t *testing.T) {
	for name, tt := range map[string]struct {
		before func(*Command)
		at     float64
		state  CommandState
		next   time.Time
	}{
		"queued":                          {func(*Command) {}, 1, CommandSent, at(11)},
		"said again while nobody answers": {func(c *Command) { c.Told(at(1)) }, 11, CommandSent, at(21)},
		"close to its end":                {func(*Command) {}, 55, CommandSent, at(60)},
		"past its end, not yet ended":     {func(*Command) {}, 61, CommandSent, at(60)},
		"delivered":                       {func(c *Command) { _, _ = c.Take(hear(contract.Delivered, 1, 1), at(1)) }, 2, CommandDelivered, at(60)},
		"withdrawn":                       {func(c *Command) { c.End(CommandWithdrawn, "", "", at(1)) }, 2, CommandWithdrawn, time.Time{}},
	} {
		t.Run(name, func(t *testing.T) {
			c := given(t)
			tt.before(&c)
			sent := c.Sent
			c.Told(at(tt.at))
			if c.State != tt.state || !c.NextAt.Equal(tt.next) {
				t.Errorf("%s, next at %s; want %s, %s", c.State, c.NextAt, tt.state, tt.next)
			}
			if !sent.IsZero() && !c.Sent.Equal(sent) {
				t.Errorf("sent moved from %s to %s", sent, c.Sent)
			}
		})
	}
}

func TestExpire(t *testing.T) {
	c := given(t)
	if c.Expire(at(60).Add(-1)) {
		t.Fatal("before its time")
	}
	if !c.Expire(at(60)) || c.State != CommandExpired || !c.Ended.Equal(at(60)) || !c.NextAt.Equal(at(60)) {
		t.Errorf("%+v", c)
	}
	if c.Expire(at(61)) || c.End(CommandWithdrawn, "", "", at(61)) || c.State != CommandExpired {
		t.Error("ended twice")
	}
	if d := given(t); d.End(CommandRead, "", "", at(1)) || d.State != CommandQueued {
		t.Error("ended by what is no end")
	}
}

// Whatever happens to a command, in whatever order and with whatever clocks.
func TestCommandNeverFallsBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := given(t)
		now := t0
		told := false // since it ended
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 900).Draw(t, "seconds")) * time.Second)
			before := c
			switch rapid.SampledFrom([]string{"told", "take", "take", "take", "expire", "end"}).Draw(t, "what") {
			case "told":
				c.Told(now)
				told = told || !c.State.Open()
			case "take":
				clock := time.Duration(rapid.IntRange(-7200, 7200).Draw(t, "clock")) * time.Second
				waited := time.Duration(rapid.IntRange(0, 7200).Draw(t, "waited")) * time.Second
				a := contract.Answer{
					Device: "trk-1", Receipt: rapid.SampledFrom(contract.Receipts).Draw(t, "receipt"), Reason: "x",
					At: now.Add(clock), Received: now.Add(-waited),
				}
				if rapid.Bool().Draw(t, "no time") {
					a.At = time.Time{}
				}
				changed, err := c.Take(a, now)
				if err != nil || changed != (c != before) {
					t.Fatalf("changed %v, %v", changed, err)
				}
				once := c
				if changed, err := c.Take(a, now.Add(time.Second)); changed || err != nil || c != once {
					t.Fatalf("taken twice:\n%+v\n%+v", once, c)
				}
			case "expire":
				c.Expire(now)
			case "end":
				c.End(rapid.SampledFrom([]CommandState{CommandSuperseded, CommandWithdrawn, CommandExpired}).Draw(t, "how"), "x", "", now)
			}
			if c.State.rank() < before.State.rank() || !before.State.Open() && c.State != before.State {
				t.Fatalf("%s became %s", before.State, c.State)
			}
			if !before.State.Open() && (c.Ended != before.Ended || c.By != before.By || c.Reason != before.Reason) {
				t.Fatalf("its end was rewritten:\n%+v\n%+v", before, c)
			}
			checkCommand(t, &c, now, told)
		}
		c.Expire(later(now, c.Expires))
		if c.State.Open() {
			t.Fatal("it never ends")
		}
	})
}

// checkCommand holds what is always so.
func checkCommand(t *rapid.T, c *Command, now time.Time, told bool) {
	last := c.Issued
	for _, x := range []struct {
		name string
		at   time.Time
		need bool
	}{
		{"sent", c.Sent, c.State == CommandSent || !c.Delivered.IsZero()},
		{"delivered", c.Delivered, c.State == CommandDelivered || !c.Read.IsZero()},
		{"read", c.Read, c.State == CommandRead || c.State == CommandAnswered || c.Answer != ""},
	} {
		if x.need && x.at.IsZero() {
			t.Fatalf("%s: %s at %v: %+v", c.State, x.name, x.at, c)
		}
		if !x.at.IsZero() && (x.at.Before(last) || x.at.After(now)) {
			t.Fatalf("%s at %s, after %s, now %s", x.name, x.at, last, now)
		}
		last = later(last, x.at)
	}
	switch {
	case c.State.Open() && c.State != CommandRead && !c.Read.IsZero(), c.State == CommandSent && !c.Delivered.IsZero():
		t.Fatalf("its times are beyond its state: %+v", c)
	case c.State.Open() && (c.NextAt.IsZero() || c.NextAt.After(c.Expires)):
		t.Fatalf("open and next at %v: it would not expire", c.NextAt)
	case c.State.Open() && !c.Ended.IsZero(), !c.State.Open() && c.Ended.IsZero():
		t.Fatalf("%s, ended at %v", c.State, c.Ended)
	case c.State == CommandQueued && c.NextAt.After(now):
		t.Fatalf("queued and due only at %s", c.NextAt)
	case !c.State.Open() && told != c.NextAt.IsZero():
		t.Fatalf("ended, told %v, next at %v", told, c.NextAt)
	case !c.State.Open() && c.NextAt.After(now):
		t.Fatalf("ended, and the device is told only at %s", c.NextAt)
	case (c.State == CommandAnswered) && c.Answer == "":
		t.Fatal("answered without an answer")
	}
}

// One set of receipts leaves one and the same command, in whatever order it comes.
func TestOrderOfReceiptsMakesNoDifference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		last := rapid.SampledFrom([]contract.Receipt{contract.Read, contract.Accepted, contract.Rejected}).Draw(t, "answer")
		as := []contract.Answer{hear(contract.Delivered, 2, 20), hear(contract.Read, 3, 20), hear(last, 4, 20)}
		as = append(as, as[rapid.IntRange(0, 2).Draw(t, "again")])
		take := func(as []contract.Answer) Command {
			c := given(t)
			c.ID = "cm-1"
			c.Told(at(1))
			for _, a := range as {
				if _, err := c.Take(a, at(20)); err != nil {
					t.Fatal(err)
				}
			}
			return c
		}
		want, got := take(as), take(rapid.Permutation(as).Draw(t, "order"))
		if got != want {
			t.Fatalf("\n%+v\n%+v", want, got)
		}
	})
}

func TestCommandOnWire(t *testing.T) {
	c := given(t)
	o := c.OnWire()
	want := contract.Order{
		ID: c.ID, Kind: "return", Level: "orange", Text: "请返回", Issued: t0, AnswerBy: at(60), Issuer: "duty",
	}
	if o != want {
		t.Errorf("%+v", o)
	}
	c.Kind, c.Drill = CommandLocate, true
	if o := c.OnWire(); o.Level != "blue" || !o.Drill {
		t.Errorf("%+v", o)
	}
	e := CommandEvent(&c, at(1))
	if e.Type != EventCommand || e.Area != "130633100" || string(e.Data) != `{"id":"`+c.ID+`","device":"trk-1","state":"queued"}` {
		t.Errorf("%+v %s", e, e.Data)
	}
}
