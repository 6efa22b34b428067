// Package alerts is the domain of judging and ordering: roster, alerts, rules,
// seasons, warnings, orders and deliveries as types with pure transitions, and
// the ports through which they are kept and sent. Nothing here does I/O.
package alerts
