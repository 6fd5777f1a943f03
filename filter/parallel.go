package filter

import (
	"fmt"
	"runtime/debug"
	"sync"
)

// parallel runs the functions side by side and waits for all; the last on the
// caller's own stack, which has grown to its size before. A panic in one of them
// is raised again in the caller, with the stack it came from, where the caller's
// recover sees it.
func parallel(fs ...func()) {
	var wg sync.WaitGroup
	panics := make(chan string, len(fs))
	run := func(f func()) {
		defer func() {
			if p := recover(); p != nil {
				panics <- fmt.Sprintf("%v\n%s", p, debug.Stack())
			}
		}()
		f()
	}
	last := len(fs) - 1
	for _, f := range fs[:last] {
		wg.Go(func() { run(f) })
	}
	run(fs[last])
	wg.Wait()
	select {
	case p := <-panics:
		panic(p)
	default:
	}
}
