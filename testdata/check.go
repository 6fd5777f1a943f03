package testdata

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// Check compares what `check --json` says of the case with what is expected and
// gives the differences in words, nil if there are none.
func (c Case) Check(checkJSON []byte) []string {
	var object any
	d := json.NewDecoder(bytes.NewReader(checkJSON))
	d.UseNumber()
	if err := d.Decode(&object); err != nil {
		return []string{"no JSON object: " + err.Error()}
	}
	var differences []string
	for _, e := range c.expects {
		if got, ok := e.holds(object); !ok {
			differences = append(differences, fmt.Sprintf("line %d: %s is %s, want %s", e.line, e.path, got, e.want()))
		}
	}
	return differences
}

// CheckReply compares the last SMTP reply ("550 5.7.26 text") with what is
// expected, as Check does.
func (c Case) CheckReply(reply string) []string {
	if strings.HasPrefix(reply, c.SMTP) {
		return nil
	}
	return []string{fmt.Sprintf("the reply is %q, want %q", reply, c.SMTP)}
}

func (e expectation) want() string {
	switch e.op {
	case "~":
		return strconv.Quote(e.text) + " in it"
	case "!~":
		return "no " + strconv.Quote(e.text) + " in it"
	}
	return strconv.Quote(e.text)
}

// holds tells whether the object is as expected and what is there instead. What
// is not there holds nothing, "!~" included.
func (e expectation) holds(object any) (got string, ok bool) {
	value, ok := walk(object, strings.Split(e.path, "."))
	if !ok {
		return "missing", false
	}
	texts := flat(value)
	joined := strings.Join(texts, " ")
	if e.op == ":" {
		return strconv.Quote(joined), joined == e.text
	}
	contains := false
	for _, t := range texts {
		contains = contains || strings.Contains(t, e.text)
	}
	return strconv.Quote(joined), contains == (e.op == "~")
}

// walk follows a path: names of members, numbers of elements from 0, "#" for
// how many there are.
func walk(value any, parts []string) (any, bool) {
	for _, part := range parts {
		switch v := value.(type) {
		case map[string]any:
			member, ok := v[part]
			if !ok {
				return nil, false
			}
			value = member
		case []any:
			if part == "#" {
				value = json.Number(strconv.Itoa(len(v)))
				continue
			}
			n, err := strconv.Atoi(part)
			if err != nil || n < 0 || n >= len(v) {
				return nil, false
			}
			value = v[n]
		default:
			return nil, false
		}
	}
	return value, true
}

// flat gives a value as text: one of a scalar, one an element of an array, folds
// undone.
func flat(value any) []string {
	switch v := value.(type) {
	case nil:
		return []string{""}
	case []any:
		var all []string
		for _, x := range v {
			all = append(all, flat(x)...)
		}
		return all
	case map[string]any:
		b, err := json.Marshal(v)
		if err != nil {
			return []string{err.Error()}
		}
		return []string{string(b)}
	case string:
		return []string{strings.TrimSpace(strings.NewReplacer("\r\n\t", " ", "\r\n", "").Replace(v))}
	}
	return []string{fmt.Sprint(value)}
}
