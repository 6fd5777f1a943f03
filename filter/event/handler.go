package event

import (
	"context"
	"log/slog"
	"strconv"
	"strings"
)

// Handler writes what happens to the program in lines of the same form as those
// of messages: each attribute becomes sekimori.NAME, "error" becomes
// error.message.
type Handler struct {
	format func() Format
	level  slog.Leveler
	write  func(line []byte)
	given  []byte // members, each with a comma before it
	group  string // "name." of the groups
}

// NewHandler asks for the format anew for each line and hands whole lines to write, which keeps none of them and is called
// by many at a time.
func NewHandler(format func() Format, level slog.Leveler, write func(line []byte)) *Handler {
	return &Handler{format: format, level: level, write: write}
}

// Enabled is part of slog.Handler.
func (h *Handler) Enabled(_ context.Context, l slog.Level) bool { return l >= h.level.Level() }

// Handle is part of slog.Handler.
func (h *Handler) Handle(_ context.Context, r slog.Record) error {
	o := h.format().open(make([]byte, 0, 512), r.Time, strings.ToLower(r.Level.String()), "sekimori.program")
	o.key("message")
	o.b = appendString(o.b, r.Message, maxText)
	o.b = append(append(o.b, `,"event.category":["process"]`...), h.given...)
	r.Attrs(func(a slog.Attr) bool {
		o.attribute(h.group, a)
		return true
	})
	h.write(append(o.b, "}\n"...))
	return nil
}

// WithAttrs is part of slog.Handler.
func (h *Handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	more := *h
	o := object{b: append([]byte{}, h.given...)}
	for _, a := range attrs {
		o.attribute(h.group, a)
	}
	more.given = o.b
	return &more
}

// WithGroup is part of slog.Handler.
func (h *Handler) WithGroup(name string) slog.Handler {
	more := *h
	more.group += name + "."
	return &more
}

func (o *object) attribute(group string, a slog.Attr) {
	v := a.Value.Resolve()
	if v.Kind() == slog.KindGroup {
		if a.Key != "" {
			group += a.Key + "."
		}
		for _, one := range v.Group() {
			o.attribute(group, one)
		}
		return
	}
	key := "sekimori." + group + a.Key
	if key == "sekimori.error" {
		key = "error.message"
	}
	switch v.Kind() {
	case slog.KindInt64:
		o.number(key, v.Int64())
	case slog.KindUint64:
		o.key(key)
		o.b = strconv.AppendUint(o.b, v.Uint64(), 10)
	case slog.KindBool:
		o.flag(key, v.Bool())
	case slog.KindDuration:
		o.number(key, int64(v.Duration()))
	case slog.KindTime:
		o.key(key)
		o.b = append(appendTime(append(o.b, '"'), v.Time()), '"')
	default:
		o.value(key, v)
	}
}

func (o *object) value(key string, v slog.Value) {
	if list, ok := v.Any().([]string); ok {
		o.key(key)
		o.b = append(o.b, '[')
		for i, s := range list[:min(len(list), maxRcpts)] {
			if i > 0 {
				o.b = append(o.b, ',')
			}
			o.b = appendString(o.b, s, maxText)
		}
		o.b = append(o.b, ']')
		return
	}
	o.key(key)
	o.b = appendString(o.b, v.String(), maxText)
}
