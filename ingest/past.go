package ingest

import "time"

// PastQuery asks for the readings of all devices by when they were measured and
// received.
type PastQuery struct {
	From, To                 time.Time // measured in [From, To)
	ReceivedFrom, ReceivedTo time.Time // received in [ReceivedFrom, ReceivedTo), to the millisecond; both zero: whenever
	Calls                    bool      // SOS and reports only; cheap over a long time
}
