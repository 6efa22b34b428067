// Package sqlstore keeps everything that alerts, orders and accounts need in
// SQLite or PostgreSQL. It is the only place with SQL, and one text of it
// serves both.
//
// Every change is one transaction that also writes its events. A write that
// has returned survives the death of the process and, on SQLite, the loss of
// power: the write-ahead log is synced at each commit (synchronous=FULL, one
// fsync a transaction). On PostgreSQL the server's synchronous_commit decides.
//
// Locks are taken in one order, so that no two writers wait for each other:
// the roster or the counter of warnings or of commands, an order, its
// deliveries, the commands of a device by age, alerts by rising id, rule states,
// and last the counter of events. Who holds that
// counter is the only one to write events until the commit; that makes event
// ids rise in the order of commits, without gaps.
//
// An error of a database that is away, full, locked for long or read-only is
// alerts.ErrUnavailable, by its code.
//
// A function handed to UpdateAlert, UpdateDelivery, UpdateDevice, UpdateCommand
// or UpdateCommands runs inside the transaction and must not call the store:
// SQLite has one writer.
package sqlstore
