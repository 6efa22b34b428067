// Command firewatch is the whole system in one program.
package main

import (
	"os"

	"firewatch/cmd/internal/app"
)

func main() { os.Exit(app.Main()) }
