package filter

import (
	"fmt"
	"runtime/debug"
	"sync"
)

// parallel runs the functions side by side and waits for all. A panic in one of
// them is raised again in the caller, with the stack it came from, where the
// caller's recover sees it.
func parallel(fs ...func()) {
	var wg sync.WaitGroup
	panics := make(chan string, len(fs))
	for _, f := range fs {
		wg.Go(func() {
			defer func() {
				if p := recover(); p != nil {
					panics <- fmt.Sprintf("%v\n%s", p, debug.Stack())
				}
			}()
			f()
		})
	}
	wg.Wait()
	select {
	case p := <-panics:
		panic(p)
	default:
	}
}
