package influx

import (
	"context"
	"errors"

	"firewatch/ingest"
)

// Windows implements ingest.History.
func (c *Client) Windows(context.Context, ingest.WindowQuery) ([]ingest.Window, error) {
	return nil, errors.New("not built yet")
}
