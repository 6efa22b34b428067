// Package dispatch gives orders out: it calls every team that an order names,
// again and again until the team answers (叫应), brings a silent team before the
// township, the county and the city, and puts every call and answer on record.
//
// The rows of the store are the queue. A delivery whose NextAt has come is
// claimed in one transaction, sent, and its outcome saved; a process that dies
// in between is followed by another sending. So a team may hear an order twice,
// and drops the second by the order's id; it is never left out.
//
// What a team is told is state: all orders it has not answered. Channels that
// keep it (a Retainer) are told again when it changes, whoever changed it, and
// when they may have lost it. Any number of dispatchers may run; the one that
// holds the lease works.
package dispatch
