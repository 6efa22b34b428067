// Package v1 is version 1 of the HTTP API: types, routes and handlers.
//
// routes.go is the whole API on one screen, scope.go the one place that decides
// who sees what, problem.go the one mapping of errors, openapi.yaml the document
// that clients read and the tests hold every answer against.
package v1
