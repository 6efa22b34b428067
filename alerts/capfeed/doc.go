// Package capfeed polls feeds of weather warnings, in CAP and in the JSON of
// aggregators, and brings what is new into the store, as if it had been posted.
//
// A warning that is gone from a feed is not over: it ends by an Update, a Cancel
// or its own end. A feed that was not read in full for a while is stale, and what
// it warns of is unknown, which is not calm: alerts.WarningFeed says so to every
// process. One process polls, under a lease.
package capfeed
