// A small server: a router from one module, everything else from the standard library.
package main

import (
	"fmt"
	"log"
	"net/http"
	"os"
	"runtime"

	"github.com/go-chi/chi/v5"
)

func main() {
	router := chi.NewRouter()
	router.Get("/", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "Hello from %s, %s, memory limit %s\n", os.Getenv("CC_APP_NAME"), runtime.Version(), os.Getenv("GOMEMLIMIT"))
	})
	router.Get("/people/{name}", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "Hello %s\n", chi.URLParam(r, "name"))
	})
	log.Println("listening on 8080")
	log.Fatal(http.ListenAndServe(":8080", router))
}
