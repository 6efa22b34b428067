package fleet

const (
	clockBucket = 12 * hourMS // half of the time that an estimate looks back on
	clockNear   = 2_000       // ms: messages of about the same delay
	clockEnough = 5           // of them, at different times of receipt, show a clock that is behind
)

// clock estimates how far a device's clock is ahead of ours.
//
// A message needs time to come and may have waited for hours, so measured minus
// received is at most the lead of the device's clock: its maximum over a day is
// the estimate. A clock that is ahead shows at once, because nothing is received
// before it was measured. A clock that is behind looks like a message that
// waited, so it is told only when several messages agree.
type clock struct {
	Now  bucket `json:"now"`
	Last bucket `json:"last"`
}

type bucket struct {
	Begin    int64 `json:"begin"` // received, ms since 1970
	Lead     int64 `json:"lead"`  // largest measured minus received, ms
	Near     int   `json:"near"`  // messages within clockNear of it
	Received int64 `json:"received"`
}

// observe takes the times of one reading, in ms since 1970.
func (c *clock) observe(measured, received int64) {
	if c.Now.Begin == 0 || received-c.Now.Begin >= clockBucket {
		c.Last, c.Now = c.Now, bucket{}
	}
	b, lead := &c.Now, measured-received
	if b.Begin == 0 {
		*b = bucket{Begin: received, Lead: lead, Near: 1, Received: received}
		return
	}
	if lead-b.Lead > clockNear {
		b.Near = 0
	}
	b.Lead = max(b.Lead, lead)
	// The readings of one batch came together and prove as much as one.
	if b.Lead-lead <= clockNear && (received != b.Received || b.Near == 0) {
		b.Near++
		b.Received = received
	}
}

// skew is the estimate in ms; positive is ahead.
func (c *clock) skew() (ms int64, known bool) {
	b := c.Now
	if c.Last.Begin != 0 && (b.Begin == 0 || c.Last.Lead > b.Lead) {
		b = c.Last
	}
	return b.Lead, b.Begin != 0 && (b.Lead > -clockNear || b.Near >= clockEnough)
}
