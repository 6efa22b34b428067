// Package posture keeps the readiness (备勤) of every township, and of the
// professional teams, proposed: every few seconds it asks the table in force
// what the season, the warnings and the fire danger call for, and saves what has
// changed.
//
// Nothing rests in memory: who takes over, or comes back, goes on from the rows.
// A person's word that is saved meanwhile is never overwritten: the round
// conflicts and is made anew.
package posture
