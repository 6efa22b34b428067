// Package relay carries warnings between the form in which they travel, CAP, and
// the one in which firewatch keeps them: a message becomes a warning with one
// block for each area of the roster, and warnings and orders go out again as CAP
// and as a list in Atom. It is pure: it reads and writes nothing.
package relay
