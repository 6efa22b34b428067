package ingest

import (
	"fmt"
	"strings"
)

// An Adapter turns what devices of another make publish into Readings. It lives
// in a folder of its own beside this file; README.md there tells how the next
// one is added.
type Adapter interface {
	Decoder
	Name() string // of the system, as aliases begin: "owntracks"
	// Filters are the subscriptions that together receive everything the adapter
	// understands.
	Filters() []string
}

// Decoders hands each message to the first adapter one of whose filters matches
// its topic, and everything else to the contract.
type Decoders struct {
	Contract Decoder // default ContractV1
	Adapters []Adapter
}

// Decode implements Decoder.
func (d *Decoders) Decode(dst []Entry, rejected []Rejection, m *Message) ([]Entry, []Rejection) {
	if d.Contract == nil {
		d.Contract = &ContractV1{}
	}
	for _, a := range d.Adapters {
		for _, f := range a.Filters() {
			if !MatchTopic(f, m.Topic) {
				continue
			}
			entries := len(dst)
			dst, rejected = a.Decode(dst, rejected, m)
			for i := entries; i < len(dst); i++ {
				if dst[i].Answer != nil {
					continue
				}
				// What comes out must be what the contract would have let in.
				if err := dst[i].Reading.Validate(); err != nil {
					rejected = append(rejected, Rejection{
						Device: dst[i].Reading.Device, Topic: m.Topic, Payload: m.Payload, Received: m.Received,
						Reason: fmt.Sprintf("%s: %v", a.Name(), err),
					})
					dst = append(dst[:i], dst[i+1:]...)
					i--
				}
			}
			return dst, rejected
		}
	}
	return d.Contract.Decode(dst, rejected, m)
}

// MatchTopic reports whether an MQTT subscription filter with + and # levels
// receives the topic. A wildcard at its beginning receives none of the topics of
// the broker's own, which begin with $.
func MatchTopic(filter, topic string) bool {
	if strings.HasPrefix(topic, "$") && !strings.HasPrefix(filter, "$") {
		return false
	}
	for {
		f, frest, fmore := strings.Cut(filter, "/")
		if f == "#" {
			return true
		}
		t, trest, tmore := strings.Cut(topic, "/")
		if f != "+" && f != t {
			return false
		}
		switch {
		case !fmore && !tmore:
			return true
		case fmore && !tmore:
			return frest == "#" // a/# receives a too
		case !fmore:
			return false
		}
		filter, topic = frest, trest
	}
}
