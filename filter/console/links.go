package console

import (
	"maps"
	"net/url"
)

// URL is an address of ours with its question, in pairs; the language stays the one
// that was asked for.
func (v *view) URL(path string, pairs ...string) string {
	q := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			q.Set(pairs[i], pairs[i+1])
		}
	}
	return v.address(path, q)
}

// With is this page with some of its question changed.
func (v *view) With(pairs ...string) string {
	q := url.Values{}
	maps.Copy(q, v.query)
	for i := 0; i+1 < len(pairs); i += 2 {
		if q.Del(pairs[i]); pairs[i+1] != "" {
			q.Set(pairs[i], pairs[i+1])
		}
	}
	return v.address(v.Path, q)
}

func (v *view) address(path string, q url.Values) string {
	if v.Chosen && q.Get("lang") == "" {
		q.Set("lang", v.Lang)
	}
	if len(q) == 0 {
		return path
	}
	return path + "?" + q.Encode()
}

// DomainURL is the page of a domain.
func (v *view) DomainURL(domain string, pairs ...string) string {
	return v.URL("/domains/"+url.PathEscape(domain), pairs...)
}
