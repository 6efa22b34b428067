package ingest

import (
	"errors"
	"fmt"

	contract "firewatch/firmware-contracts"
	contractv1 "firewatch/firmware-contracts/v1"
)

// A Decoder turns one message into entries, appended to dst, and rejections,
// appended to rejected. A message may give both. It is used by one goroutine.
type Decoder interface {
	Decode(dst []Entry, rejected []Rejection, m *Message) ([]Entry, []Rejection)
}

// ContractV1 decodes the topics and documents of firmware-contracts version 1.
// Its zero value is ready for use.
type ContractV1 struct {
	readings []contract.Reading
}

// Decode implements Decoder.
func (d *ContractV1) Decode(dst []Entry, rejected []Rejection, m *Message) ([]Entry, []Rejection) {
	reject := func(id contract.DeviceID, reason string, payload []byte) {
		rejected = append(rejected, Rejection{
			Device: id, Topic: m.Topic, Reason: reason, Payload: payload, Received: m.Received,
		})
	}
	t, err := contract.ParseTopic(m.Topic)
	switch {
	case err != nil:
		reject("", err.Error(), m.Payload)
	case t.Orders:
		reject(t.Device, "topic: this one is for orders to devices and teams; nothing is reported on it", m.Payload)
	case t.Answers:
		a, err := contractv1.DecodeAnswer(t, m.Payload, m.Received)
		if err != nil {
			reject(t.Device, err.Error(), m.Payload)
			if f, ok := errors.AsType[contractv1.Fault](err); !ok || !f.Kept {
				break
			}
		}
		dst = append(dst, Entry{Answer: &a})
	default:
		var faults []contractv1.Fault
		d.readings, faults = contractv1.Decode(d.readings[:0], t, m.Payload, m.Received)
		for i := range d.readings {
			dst = append(dst, Entry{Reading: d.readings[i]})
		}
		for i := range faults {
			reject(t.Device, faults[i].String(), faults[i].Raw)
		}
		if len(d.readings) == 0 && len(faults) == 0 {
			// Never acknowledge what left no trace.
			reject(t.Device, "the document holds no reading", m.Payload)
		}
	}
	return dst, rejected
}

// describe is the reading as a device would have sent it, for the quarantine.
func describe(r *contract.Reading) []byte {
	b, err := contractv1.AppendReadings(nil, contractv1.JSON, []contract.Reading{*r})
	if err != nil {
		return []byte(fmt.Sprintf("this reading cannot be written as a document: %v: %+v", err, *r))
	}
	return b
}
