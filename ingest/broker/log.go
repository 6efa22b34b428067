package broker

import (
	"context"
	"log/slog"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// bridge gives mochi's warnings and errors to zap. Whole packets are left out:
// they hold what devices say.
type bridge struct {
	log *zap.Logger
}

func (b *bridge) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelError }

func (b *bridge) Handle(_ context.Context, r slog.Record) error {
	fields := make([]zap.Field, 0, r.NumAttrs())
	r.Attrs(func(a slog.Attr) bool {
		if a.Key != "pk" && a.Key != "packet" {
			fields = append(fields, field(a))
		}
		return true
	})
	b.log.Log(zapcore.WarnLevel, "mqtt broker: "+r.Message, fields...)
	return nil
}

func (b *bridge) WithAttrs(as []slog.Attr) slog.Handler {
	fields := make([]zap.Field, 0, len(as))
	for _, a := range as {
		fields = append(fields, field(a))
	}
	return &bridge{log: b.log.With(fields...)}
}

func (b *bridge) WithGroup(string) slog.Handler { return b }

func field(a slog.Attr) zap.Field {
	if err, ok := a.Value.Any().(error); ok {
		return zap.NamedError(a.Key, err)
	}
	return zap.String(a.Key, clip(a.Value.String()))
}
