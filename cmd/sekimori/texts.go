package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"

	"sekimori/config"
	"sekimori/filter"
)

// texts are those of the languages and files that a configuration names.
type texts struct {
	languages map[string]filter.Texts
	files     map[string]filter.Texts
}

// readTexts reads what [policy] and tenants name.
func readTexts(cfg config.Config) (texts, error) {
	t := texts{map[string]filter.Texts{}, map[string]filter.Texts{}}
	err := t.read(cfg.Policy)
	for _, one := range cfg.Tenants {
		err = errors.Join(err, t.read(one.Policy))
	}
	return t, err
}

func (t texts) read(p config.Policy) error {
	var err error
	if _, known := t.languages[p.Language]; !known {
		if t.languages[p.Language], err = filter.LanguageTexts(p.Language); err != nil {
			return err
		}
	}
	if _, known := t.files[p.Texts]; !known && p.Texts != "" {
		t.files[p.Texts], err = readTextFile(p.Texts)
	}
	return err
}

func readTextFile(name string) (filter.Texts, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, 1<<20)) // more than ParseTexts takes
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	all, err := filter.ParseTexts(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return all, nil
}

// of gives the texts of a policy: its file's go before its language's.
func (t texts) of(p config.Policy) filter.Texts {
	language, file := t.languages[p.Language], t.files[p.Texts]
	if len(file) == 0 {
		return language
	}
	all := maps.Clone(file)
	for reason, text := range language {
		if _, own := all[reason]; !own {
			all[reason] = text
		}
	}
	return all
}

func checkTexts(c config.Config) []config.Problem {
	t := texts{map[string]filter.Texts{}, map[string]filter.Texts{}}
	all := problem("policy.texts", t.read(c.Policy))
	for i, one := range c.Tenants {
		all = append(all, problem(config.TenantKey(i, "policy.texts"), t.read(one.Policy))...)
	}
	return all
}
