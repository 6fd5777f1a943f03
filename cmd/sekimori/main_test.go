package main

import (
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) { testscript.Main(m, map[string]func(){"sekimori": main}) }

// The commands as their users call them: testdata/script/*.txtar.
func TestScripts(t *testing.T) {
	cases, err := filepath.Abs(caseFiles)
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:   "testdata/script",
		Setup: func(env *testscript.Env) error { env.Setenv("CASES", cases); return nil },
	})
}
