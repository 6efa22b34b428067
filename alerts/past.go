package alerts

import (
	"context"
	"time"

	contract "firewatch/firmware-contracts"
)

// Past is the history of readings, kept by whoever receives them. It holds those
// too that this process never got. An engine works on without it.
type Past interface {
	// Readings hands over the readings that the query asks for, in runs that are
	// each's to keep: those of one measurement (positions with SOS and reports,
	// environment, status) in order of measured time. A reading may come twice.
	// Memory does not grow with the answer.
	Readings(ctx context.Context, q PastQuery, each func([]contract.Reading) error) error
}

// PastQuery asks for readings by when they were measured and received.
type PastQuery struct {
	From, To                 time.Time // measured in [From, To)
	ReceivedFrom, ReceivedTo time.Time // received in [ReceivedFrom, ReceivedTo); both zero: whenever
	Calls                    bool      // SOS and reports only; cheap over a long time
}
