// Package api is the HTTP role: the versioned API of package v1, the console,
// and what operators ask for (health, readiness, metrics). New returns a
// handler; listening is the business of whoever starts it.
package api
