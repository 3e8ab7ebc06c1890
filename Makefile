# make demo    make the environment, interpolate the bundled clip, write demo/bunny_2x.mp4 and demo/frames.png
# make test    make the environment, run linters, type checks and tests (ARGS="-k scene" goes to pytest)
# make docs    make the environment, build the documentation into build/site, with warnings as errors
# make fix     format the code and apply the safe lint fixes
# make clean   remove the environment and everything generated

.PHONY: demo test docs fix clean

demo:
	@sh scripts/bootstrap demo
	@.venv/bin/python scripts/demo.py

test:
	@sh scripts/bootstrap dev
	@sh scripts/check $(ARGS)

docs:
	@sh scripts/bootstrap dev
	@.venv/bin/mkdocs build --strict

fix:
	@sh scripts/bootstrap dev
	@.venv/bin/ruff check --fix .
	@.venv/bin/ruff format .

clean:
	rm -rf .venv demo build dist .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
