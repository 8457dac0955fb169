"""Never called: decoupled models refuse ModelInfer."""


class TritonPythonModel:
    def execute(self, requests):
        return None
