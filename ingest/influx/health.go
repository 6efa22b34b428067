package influx

import (
	"context"
	"errors"

	"firewatch/ingest"
)

// Health implements ingest.History.
func (c *Client) Health(context.Context) ([]ingest.DeviceHealth, error) {
	return nil, errors.New("not built yet")
}

// WriteHealth implements ingest.HealthLog.
func (c *Client) WriteHealth(context.Context, []ingest.DeviceHealth) error {
	return errors.New("not built yet")
}
