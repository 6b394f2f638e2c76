// Command bundle validates OLM bundles as `operator-sdk bundle validate` does, by the library of the
// Operator Framework that it uses.
//
// Each argument is the folder of a bundle. It writes one line for each error and each warning, and
// ends with exit code 1 when there is any.
package main

import (
	"fmt"
	"os"

	"github.com/operator-framework/api/pkg/manifests"
	"github.com/operator-framework/api/pkg/validation"
)

func main() {
	code := 0
	for _, folder := range os.Args[1:] {
		bundle, err := manifests.GetBundleFromDir(folder)
		if err != nil {
			fmt.Printf("%s: %v\n", folder, err)
			code = 1
			continue
		}
		validators := validation.DefaultBundleValidators.WithValidators(
			validation.OperatorHubV2Validator,
			validation.StandardCapabilitiesValidator,
			validation.StandardCategoriesValidator,
			validation.ObjectValidator,
			validation.GoodPracticesValidator,
			validation.AlphaDeprecatedAPIsValidator,
		)
		for _, result := range validators.Validate(bundle.ObjectsToValidate()...) {
			for _, each := range append(result.Errors, result.Warnings...) {
				fmt.Printf("%s: %v\n", folder, each)
				code = 1
			}
		}
	}
	os.Exit(code)
}
