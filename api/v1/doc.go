// Package v1 is version 1 of the HTTP API: types, routes and handlers.
package v1
