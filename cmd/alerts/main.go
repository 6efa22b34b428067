// Command alerts runs the alerts role alone; firewatch up runs several.
package main

import (
	"os"

	"firewatch/cmd/internal/app"
	"firewatch/cmd/internal/config"
)

func main() { os.Exit(app.MainRole(config.Alerts)) }
