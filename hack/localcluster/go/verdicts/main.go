// Command verdicts tells what other tools say of an object, by the code that they run themselves:
// kstatus by its library, Flux by its evaluator of healthCheckExprs, and Argo CD's scripts by the
// Lua interpreter that it uses, with the libraries that it opens.
//
// It reads a JSON list of questions from the standard input, and writes a list of answers.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/fluxcd/pkg/apis/kustomize"
	"github.com/fluxcd/pkg/runtime/cel"
	lua "github.com/yuin/gopher-lua"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
)

// question names a tool and what it is to judge.
type question struct {
	Tool   string                    `json:"tool"`
	Object unstructured.Unstructured `json:"object"`
	// Script is what "lua" runs.
	Script string `json:"script"`
	// Check is an entry of healthCheckExprs, for "flux".
	Check json.RawMessage `json:"check"`
}

type answer struct {
	Result any    `json:"result,omitempty"`
	Error  string `json:"error,omitempty"`
}

type verdict struct {
	Status  string `json:"status"`
	Message string `json:"message,omitempty"`
}

// luaSeconds is how long Argo CD lets a script run.
const luaSeconds = time.Second

func main() {
	var questions []question
	if err := json.NewDecoder(os.Stdin).Decode(&questions); err != nil {
		log.Fatal(err)
	}
	answers := make([]answer, len(questions))
	for i, each := range questions {
		result, err := each.ask()
		if err != nil {
			answers[i] = answer{Error: err.Error()}
			continue
		}
		answers[i] = answer{Result: result}
	}
	if err := json.NewEncoder(os.Stdout).Encode(answers); err != nil {
		log.Fatal(err)
	}
}

func (q *question) ask() (any, error) {
	switch q.Tool {
	case "kstatus":
		found, err := status.Compute(&q.Object)
		if err != nil {
			return nil, err
		}
		return verdict{string(found.Status), found.Message}, nil
	case "flux":
		return q.evaluateExpressions()
	case "lua":
		return q.runScript()
	}
	return nil, fmt.Errorf("no such tool: %q", q.Tool)
}

func (q *question) evaluateExpressions() (any, error) {
	var check kustomize.CustomHealthCheck
	decoder := json.NewDecoder(bytes.NewReader(q.Check))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&check); err != nil {
		return nil, err
	}
	evaluator, err := cel.NewStatusEvaluator(&check.HealthCheckExpressions)
	if err != nil {
		return nil, err
	}
	found, err := evaluator.Evaluate(context.Background(), &q.Object)
	if err != nil {
		return nil, err
	}
	return verdict{Status: string(found.Status)}, nil
}

// runScript runs a script as util/lua/lua.go of Argo CD does: with the package, base and table
// libraries, and of os only time and date.
func (q *question) runScript() (any, error) {
	state := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer state.Close()
	for name, open := range map[string]lua.LGFunction{
		lua.LoadLibName: lua.OpenPackage,
		lua.BaseLibName: lua.OpenBase,
		lua.TabLibName:  lua.OpenTable,
	} {
		if err := state.CallByParam(
			lua.P{Fn: state.NewFunction(open), Protect: true}, lua.LString(name),
		); err != nil {
			return nil, err
		}
	}
	state.PreloadModule(lua.OsLibName, func(l *lua.LState) int {
		l.Push(l.SetFuncs(l.NewTable(), safeOS))
		return 1
	})
	deadline, cancel := context.WithTimeout(context.Background(), luaSeconds)
	defer cancel()
	state.SetContext(deadline)
	state.SetGlobal("obj", toLua(state, q.Object.Object))
	if err := state.DoString(q.Script); err != nil {
		return nil, err
	}
	table, ok := state.Get(-1).(*lua.LTable)
	if !ok {
		return nil, fmt.Errorf("expect table output from Lua script, not %s", state.Get(-1).Type())
	}
	return fromLua(table), nil
}

var safeOS = map[string]lua.LGFunction{
	"time": func(l *lua.LState) int {
		l.Push(lua.LNumber(time.Now().Unix()))
		return 1
	},
	"date": func(l *lua.LState) int {
		l.Push(lua.LString(time.Now().UTC().Format(time.RFC3339)))
		return 1
	},
}

func toLua(state *lua.LState, value any) lua.LValue {
	switch converted := value.(type) {
	case bool:
		return lua.LBool(converted)
	case float64:
		return lua.LNumber(converted)
	case int64:
		return lua.LNumber(converted)
	case string:
		return lua.LString(converted)
	case []any:
		table := state.CreateTable(len(converted), 0)
		for _, item := range converted {
			table.Append(toLua(state, item))
		}
		return table
	case map[string]any:
		table := state.CreateTable(0, len(converted))
		for key, item := range converted {
			table.RawSetH(lua.LString(key), toLua(state, item))
		}
		return table
	}
	return lua.LNil
}

// fromLua makes JSON of a value. An empty table becomes a list, as in Argo CD, which puts it right
// only where the object had a map before.
func fromLua(value lua.LValue) any {
	switch converted := value.(type) {
	case lua.LBool:
		return bool(converted)
	case lua.LNumber:
		return float64(converted)
	case lua.LString:
		return string(converted)
	case *lua.LTable:
		if key, _ := converted.Next(lua.LNil); key == lua.LNil || key.Type() == lua.LTNumber {
			list := []any{}
			converted.ForEach(func(_, item lua.LValue) { list = append(list, fromLua(item)) })
			return list
		}
		object := map[string]any{}
		converted.ForEach(func(key, item lua.LValue) { object[key.String()] = fromLua(item) })
		return object
	}
	return nil
}
