// Package posture keeps the readiness (备勤) of every township, and of the
// professional teams, proposed: every few seconds it asks the table in force
// what the season, the warnings and the fire danger call for, and saves what has
// changed.
//
// Nothing rests in memory: who takes over, or comes back, goes on from the rows.
// A person's word that is saved meanwhile is never overwritten: the round
// conflicts and is made anew.
//
// It also gives the orders that postures owe: those that the table gives by
// itself, and those of a person's confirmation that could not be given then. The
// row names the order by its idempotency key in the transaction that sets the
// posture, and an order is given once by one key: a crash between the two steps
// neither forgets nor repeats it.
package posture
